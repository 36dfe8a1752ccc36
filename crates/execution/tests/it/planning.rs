//! Dry runs: what a run would do, without doing it.

use std::sync::Arc;

use perennial_execution::pipeline_runs::{self, PipelineKind};
use perennial_execution::pipelines::{self, PipelineOptions, Plan};
use perennial_projects::ProjectState;
use perennial_store::datasets;
use perennial_testkit::TestApp;

const FILE: &str = r#"
[project]
name = "flights"

[datasets.flown]
source = { files = "*.csv" }
mode = "append"

[steps.features]
run = "make features"
env = "system"
inputs = ["flown"]
outputs = { rows = { path = "rows.csv" } }

[steps.more]
run = "make more"
env = "system"
inputs = ["features.rows"]
outputs = { rows = { path = "rows.csv" } }
"#;

async fn start() -> (TestApp, Arc<ProjectState>) {
    let test = TestApp::start().await.unwrap();
    let project = test.submit(FILE).await.unwrap();
    (test, project)
}

async fn plan(test: &TestApp, project: &Arc<ProjectState>) -> Plan {
    test.app.execution.plan(&test.system(), project, Vec::new()).await.unwrap()
}

/// The steps of a plan: name, whether it is up to date, reasons.
fn step_plans(plan: &Plan) -> Vec<(&str, bool, String)> {
    plan.steps.iter().map(|why| (why.step.as_str(), why.is_cached, why.reasons.join("; "))).collect()
}

#[tokio::test]
async fn files_that_wait_are_seen_in_a_project_that_never_ran_and_nothing_is_made_of_them() {
    let (test, project) = start().await;
    test.data.offer("a.csv", "1");
    test.data.offer("b.csv", "2");
    let plan = plan(&test, &project).await;
    assert_eq!(plan.pending.iter().map(|new| (new.dataset.as_str(), new.files)).collect::<Vec<_>>(), [("flown", 2)]);
    assert_eq!(
        step_plans(&plan),
        [
            ("features", false, "it waits for dataset `flown`: 2 new files".to_owned()),
            ("more", false, "it waits for `features`, which would run".to_owned()),
        ]
    );
    assert!(datasets::list(&mut test.app.kernel.store().read().await.unwrap(), project.id).await.unwrap().is_empty());
    assert!(pipeline_runs::list(&test.system(), &project, None, 10).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_step_without_rows_to_read_says_so_and_the_plan_continues() {
    let (test, project) = start().await;
    let plan = plan(&test, &project).await;
    assert!(plan.pending.is_empty());
    let reasons: Vec<String> = plan.steps.iter().map(|why| why.reasons.join("; ")).collect();
    assert_eq!(reasons, ["it cannot: dataset `flown` has no rows yet", "it waits for `features`, which would run"]);
}

#[tokio::test]
async fn a_plan_is_made_by_the_file_as_it_is_now_and_the_project_follows_the_one_that_was_submitted() {
    let (test, project) = start().await;
    let before = project.submission().unwrap().digest.clone();
    test.write_file(&FILE.replace("steps.more", "steps.other")).unwrap();
    let (own, submission) = test.app.projects.own(&test.system()).await.unwrap();
    let plan = test.app.execution.plan_by(&test.system(), &own, submission, None, Vec::new()).await.unwrap();
    assert_eq!(plan.steps.iter().map(|why| why.step.as_str()).collect::<Vec<_>>(), ["features", "other"]);
    assert_eq!(project.submission().unwrap().digest, before);
    let kept = test.app.projects.record(&test.system(), &project).await.unwrap();
    assert_eq!(kept.file_digest, Some(before));
}

const MAKES: &str = r#"
[project]
name = "flights"

[task]
kind = "binary"
data = "rows"
target = "late"
key = ["flight_id"]
time = "hour"
test = "1 month"
metric = "auc"

[steps.make]
run = "make"
env = "system"
outputs = { rows = { path = "rows.csv", kind = "dataset" }, model = { path = "model", kind = "model" } }
"#;

/// The parts of the key by which the only step of a project file would run.
async fn key_parts(test: &TestApp, file: &str) -> serde_json::Value {
    let (caller, project) = (test.system(), test.submit(file).await.unwrap());
    let (kind, options) = (PipelineKind::Run, PipelineOptions::default());
    let run = pipelines::request(&caller, &project, kind, perennial_core::cause::Cause::person("test"), &options)
        .await
        .unwrap();
    // The runner of the tests runs nothing: that it is asked to is the point.
    test.app.runner.run(&caller, &project, &run).await.unwrap_err();
    pipeline_runs::steps(&caller, &project, run.id).await.unwrap()[0].0.key_parts.clone()
}

#[tokio::test]
async fn checks_of_a_command_s_dataset_and_the_declared_kind_of_its_model_are_in_its_key() {
    let test = TestApp::start().await.unwrap();
    let before = key_parts(&test, MAKES).await;
    let checked = format!("{MAKES}\n[checks.rows]\nfar = \"distance > 0\"\n");
    let other_task = MAKES.replace("metric =", "ignore = [\"tailnum\"]\nmetric =");
    for (file, part) in [(&checked, "checks:rows"), (&other_task, "task")] {
        let mut now = key_parts(&test, file).await;
        assert_ne!(now[part], before[part], "{part}");
        now[part] = before[part].clone();
        assert_eq!(now, before, "and nothing else does");
    }
}
