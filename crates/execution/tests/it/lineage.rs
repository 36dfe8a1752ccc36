//! What a step records about its origin: lineage, ledger entries, and the tracked run.

use perennial_core::id::PipelineRunId;
use perennial_core::ledger::Entry;
use perennial_core::lineage::{Node, NodeKind};
use perennial_execution::steps::step_node;
use perennial_kernel::ledger;
use perennial_store::lineage;
use perennial_testkit::toml_text;

use crate::support::TestProject;

/// A source, a command over it, and a command over its output.
const FILE: &str = r#"
[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.features]
run = ["write:rows.csv:1"]
env = "uv:requirements.txt"
inputs = ["flown"]
outputs = { rows = { path = "rows.csv" } }

[steps.report]
run = ["write:report.txt:done"]
env = "system"
inputs = ["features.rows"]
outputs = { text = { path = "report.txt" } }
"#;

async fn start(file: &str) -> TestProject {
    let test = TestProject::with_files(file, &[("requirements.txt", "numpy==2.1.0")]).await;
    test.test.data.offer("a.csv", "n\n1\n");
    test
}

/// The nodes that an attempt was directly made from.
async fn origins(test: &TestProject, id: PipelineRunId, step: &str) -> Vec<Node> {
    let node = step_node(test.attempt(id, step).await.id);
    let mut reader = test.test.app.kernel.store().read().await.unwrap();
    let edges = lineage::backward(&mut reader, test.project.id, &node).await.unwrap();
    let direct = edges.into_iter().filter(|edge| edge.to_id == node.id && edge.to_kind == node.kind);
    direct.map(|edge| Node::new(edge.from_kind, edge.from_id)).collect()
}

/// The ledger entries about the attempts at steps, oldest first.
async fn entries(test: &TestProject) -> Vec<(Entry, serde_json::Value)> {
    let caller = test.test.system();
    let page = ledger::list(&caller, test.project.id, None, 1_000).await.unwrap();
    let mut found = Vec::new();
    for entry in page.items.into_iter().rev().filter(|entry| entry.noun == "step_run") {
        let payload = ledger::payload(&caller, test.project.id, entry.sequence).await.unwrap().unwrap();
        found.push((entry, serde_json::from_str(&payload).unwrap()));
    }
    found
}

#[tokio::test]
async fn an_attempt_is_made_from_its_run_dataset_version_code_and_environment() {
    let test = start(FILE).await;
    let ended = test.run().await;
    let origins = origins(&test, ended.id, "features").await;
    let kinds = |kind: NodeKind| origins.iter().filter(|node| node.kind == kind).collect::<Vec<_>>();
    assert_eq!(kinds(NodeKind::PipelineRun)[0].id, ended.id.to_string());
    assert!(kinds(NodeKind::DatasetVersion)[0].id.ends_with("@1"), "{origins:?}");
    assert_eq!(kinds(NodeKind::Code)[0].id, test.project.submission().unwrap().digest);
    assert_eq!(kinds(NodeKind::Environment)[0].id, "numpy==2.1.0");
    assert_eq!(origins.len(), 4, "{origins:?}");
}

#[tokio::test]
async fn an_attempt_over_an_output_is_made_from_the_attempt_that_left_it() {
    let test = start(FILE).await;
    let first = test.run().await;
    let made_by = step_node(test.attempt(first.id, "features").await.id);
    assert!(origins(&test, first.id, "report").await.contains(&made_by));
    test.submit(&toml_text::set(FILE, "steps.report.params", "{ again = true }")).await;
    let second = test.run().await;
    let origins = origins(&test, second.id, "report").await;
    assert!(origins.contains(&made_by), "a cached step is not an origin of its own: {origins:?}");
}

#[tokio::test]
async fn the_ledger_has_each_attempt_that_succeeded_with_its_outputs() {
    let test = start(FILE).await;
    let ended = test.run().await;
    let entries = entries(&test).await;
    let verbs: Vec<&str> = entries.iter().map(|(entry, _)| entry.verb.as_str()).collect();
    assert_eq!(verbs, ["succeed", "succeed"]);
    let (entry, payload) = &entries[1];
    assert_eq!(entry.subject, test.attempt(ended.id, "report").await.id.to_string());
    assert_eq!(payload["step"], "report");
    let (name, digest) = test.outputs(ended.id, "report").await.remove(0);
    assert_eq!(payload["outputs"], serde_json::json!([{ "name": name, "digest": digest }]));
    assert!(entry.cause.as_deref().is_some_and(|cause| cause.contains(&ended.id.to_string())), "{:?}", entry.cause);
}

#[tokio::test]
async fn the_ledger_has_each_attempt_that_failed_with_the_code_of_its_error() {
    let test = start(&toml_text::set(FILE, "steps.features.run", "[\"exit:1\"]")).await;
    test.run().await;
    let entries = entries(&test).await;
    assert_eq!(entries.len(), 1, "a skipped step does not add an entry");
    assert_eq!(entries[0].0.verb, "fail");
    assert_eq!(entries[0].1, serde_json::json!({ "step": "features", "error": "step-failed" }));
}

#[tokio::test]
async fn a_cached_step_adds_nothing_to_the_ledger() {
    let test = start(FILE).await;
    test.run().await;
    test.submit(&toml_text::set(FILE, "steps.report.params", "{ again = true }")).await;
    test.run().await;
    assert_eq!(entries(&test).await.len(), 3, "`features` once, `report` twice");
}

#[tokio::test]
async fn a_tracked_run_names_the_step_the_attempt_and_the_pipeline_run() {
    let test = start(FILE).await;
    let ended = test.run().await;
    let attempt = test.attempt(ended.id, "features").await;
    let (run, data) = test.tracked(&attempt).await;
    assert_eq!((run.name.as_str(), run.experiment_id), ("features", test.project.experiment));
    let tag = |key: &str| data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str());
    assert_eq!(tag("mlflow.source.name"), Some("step:features"));
    assert_eq!(tag("perennial.step_run"), Some(attempt.id.to_string().as_str()));
    assert_eq!(tag("perennial.pipeline_run"), Some(ended.id.to_string().as_str()));
}
