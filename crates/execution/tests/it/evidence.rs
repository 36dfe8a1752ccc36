//! Evidence: what is measured of a candidate, other models and the champion.

use std::time::Duration;

use perennial_core::entity::{Evidence as Row, PipelineKind};
use perennial_core::frame::{Column, Frame};
use perennial_core::port::data::{DataEngine as _, FrameRequest};
use perennial_execution::pipeline_runs;
use perennial_execution::pipelines::PipelineEvent;
use perennial_execution::steps::Evidence;
use perennial_store::evidence;
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, toml_text};

/// The query of the rows of the task.
const ROWS: &str = "SELECT * FROM \"flown\"";

async fn start(file: &str) -> TrainedProject {
    let test = TrainedProject::of(file).await;
    test.renew(1, TestModel::binary(0.0)).await;
    test
}

/// Runs every step; returns the evidence with its row, and the message at the end of its step.
async fn gather(test: &TrainedProject) -> (Row, Evidence, String) {
    let (run, ended) = test.run(PipelineKind::Run, by_person()).await;
    ended.unwrap();
    let steps = pipeline_runs::steps(&test.test.system(), &test.project, run.id).await.unwrap();
    let (step, _) = steps.into_iter().find(|(step, _)| step.step.as_str() == "evaluation").unwrap();
    let mut reader = test.test.app.kernel.store().read().await.unwrap();
    let row = evidence::find_by_step_run(&mut reader, step.id).await.unwrap().unwrap();
    let body = serde_json::from_value(row.body.clone()).unwrap();
    let (execution, caller) = (&test.test.app.execution, test.test.system());
    let (events, _) = execution.events(&caller, &test.project, run.id, 0, Duration::ZERO).await.unwrap();
    let mut events = events.into_iter().map(|event| serde_json::from_value(event.body).unwrap());
    let message = events.find_map(|event| match event {
        PipelineEvent::StepEnded { step, message, .. } if step.as_str() == "evaluation" => message,
        _ => None,
    });
    (row, body, message.unwrap_or_default())
}

/// The rows of the task, with another column.
async fn with_column(test: &TrainedProject, name: &str, change: impl Fn(&Frame) -> Column) {
    let request = FrameRequest { sql: ROWS.to_owned(), tables: Vec::new(), keys: Vec::new() };
    let mut frame = test.test.data.frame(request).await.unwrap();
    let column = change(&frame);
    frame.push(name, column);
    test.test.data.answer_frame(ROWS, frame);
}

#[tokio::test]
async fn gates_see_the_candidate_its_latency_and_the_checks() {
    let test = start(PROJECT_FILE).await;
    let (_, evidence, _) = gather(&test).await;
    let facts = evidence.facts();
    assert!(facts["candidate"]["auc"].as_f64().is_some_and(|auc| (0.0..=1.0).contains(&auc)), "{facts}");
    assert!(facts["serving"]["p99_ms"].as_f64() >= facts["serving"]["p50_ms"].as_f64());
    assert_eq!(facts["checks"], serde_json::json!({ "passed": 0.0, "warned": 0.0, "failed": 0.0 }));
}

#[tokio::test]
async fn evidence_names_its_split_and_the_versions_of_the_datasets() {
    let test = start(PROJECT_FILE).await;
    let (_, evidence, _) = gather(&test).await;
    assert!(evidence.split.train_rows > 0 && evidence.split.test_rows > 0);
    assert_eq!(evidence.models[0].facts["rows"].as_f64(), Some(evidence.split.test_rows as f64));
    assert_eq!(evidence.datasets["flown"], (1, "rows 1".to_owned()));
}

#[tokio::test]
async fn the_candidate_is_first_then_other_models_then_the_champion_with_its_number() {
    let file = format!("{PROJECT_FILE}\n[steps.base]\ntrain = \"linear\"\n");
    let file = toml_text::set(&file, "steps.evaluation.evaluate", "[\"base\", \"train\"]");
    let test = start(&file).await;
    test.test.deploy(&test.project, "delay", &TestModel::binary(0.5)).await.unwrap();
    let (_, evidence, message) = gather(&test).await;
    let models: Vec<_> = evidence.models.iter().map(|model| (model.name.as_str(), model.number)).collect();
    assert_eq!(models, [("candidate", None), ("base", None), ("champion", Some(1))]);
    assert!(message.starts_with("candidate auc 0.") && message.contains(", champion auc 0."), "{message}");
}

#[tokio::test]
async fn slices_have_a_measure_for_each_value_of_their_column() {
    let test = start(&toml_text::set(PROJECT_FILE, "steps.evaluation.slices", "[\"carrier\"]")).await;
    let (_, evidence, _) = gather(&test).await;
    let slices = evidence.models[0].facts["slices"].as_array().unwrap().clone();
    let mut values: Vec<_> = slices.iter().map(|slice| slice["value"].as_str().unwrap_or_default()).collect();
    values.sort_unstable();
    assert_eq!(values, ["AA", "B6", "UA"]);
    let rows: f64 = slices.iter().filter_map(|slice| slice["rows"].as_f64()).sum();
    assert_eq!(rows, evidence.split.test_rows as f64);
}

#[tokio::test]
async fn a_slice_by_an_unknown_column_fails_with_the_model() {
    let test = start(&toml_text::set(PROJECT_FILE, "steps.evaluation.slices", "[\"carier\"]")).await;
    let error = test.run(PipelineKind::Run, by_person()).await.1.unwrap_err();
    let message = error.message();
    assert!(message.starts_with("step `evaluation` failed: `candidate` cannot be evaluated: "), "{message}");
    assert!(message.contains("carier"), "{message}");
}

#[tokio::test]
async fn a_strong_feature_is_no_leak_and_evidence_has_it_also_where_it_is_allowed() {
    for file in [PROJECT_FILE.to_owned(), toml_text::set(PROJECT_FILE, "task.allow", "[\"arrived\"]")] {
        let test = start(&file).await;
        with_column(&test, "arrived", |frame| frame.column("late").unwrap().clone()).await;
        let (_, evidence, _) = gather(&test).await;
        let strong: Vec<&str> = evidence.strong_features.iter().map(|(feature, _)| feature.as_str()).collect();
        assert_eq!((strong, evidence.leaks.len()), (vec!["arrived"], 0));
    }
}

#[tokio::test]
async fn a_constant_candidate_is_reported() {
    let test = TrainedProject::of(PROJECT_FILE).await;
    // Every probability rounds to 1.
    test.renew(1, TestModel::binary(100.0)).await;
    let (_, evidence, _) = gather(&test).await;
    let warning = "`candidate`: the model is constant: each test row has the score 1.0000";
    assert!(evidence.warnings.iter().any(|found| found == warning), "{:?}", evidence.warnings);
}

#[tokio::test]
async fn evidence_expires_after_its_declared_time() {
    let test = start(&toml_text::set(PROJECT_FILE, "release.evidence_ttl", "\"2 days\"")).await;
    let (row, _, _) = gather(&test).await;
    assert_eq!(row.expires_project_ms - row.project_ms, 2 * 86_400_000);
}

#[tokio::test]
async fn pictures_are_stored_by_their_digests() {
    let test = start(PROJECT_FILE).await;
    let (_, evidence, _) = gather(&test).await;
    assert!(!evidence.plots.is_empty());
    for (name, _, digest) in evidence.plots {
        let blobs = &test.test.app.kernel.services.blobs;
        assert!(blobs.exists(digest.parse().unwrap()).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_new_champion_is_evaluated_without_training_again() {
    let test = start(PROJECT_FILE).await;
    gather(&test).await;
    test.test.deploy(&test.project, "delay", &TestModel::binary(0.5)).await.unwrap();
    let plan = test.test.app.execution.plan(&test.test.system(), &test.project, Vec::new()).await.unwrap();
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.step.as_str(), step.is_cached)).collect();
    assert_eq!(steps, [("train", true), ("evaluation", false)]);
    assert!(plan.steps[1].reasons[0].starts_with("champion changed (none → "), "{:?}", plan.steps[1].reasons);
}
