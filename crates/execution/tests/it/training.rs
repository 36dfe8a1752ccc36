//! Training and evaluation: what a model is trained on, compared with, and when evidence is gathered again.

use perennial_core::entity::PipelineKind;
use perennial_core::state::{PipelineRunState, RunStatus};
use perennial_execution::pipeline_runs::{self, PipelineRun};
use perennial_execution::pipelines::RunOutcome;
use perennial_store::runs;
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, toml_text};

/// A run over every step.
async fn run(test: &TrainedProject) -> (PipelineRun, perennial_core::Result<RunOutcome>) {
    test.run(PipelineKind::Run, by_person()).await
}

/// The attempts of a run: step, state and message.
async fn attempts(test: &TrainedProject, run: &PipelineRun) -> Vec<(String, String, String)> {
    let caller = test.test.system();
    let steps = pipeline_runs::steps(&caller, &test.project, run.id).await.unwrap();
    let line = |step: pipeline_runs::StepRun| {
        (step.step.to_string(), step.state.as_str().to_owned(), step.message.unwrap_or_default())
    };
    steps.into_iter().map(|(step, _)| line(step)).collect()
}

async fn states(test: &TrainedProject, run: &PipelineRun) -> Vec<String> {
    attempts(test, run).await.into_iter().map(|(step, state, _)| format!("{step} {state}")).collect()
}

#[tokio::test]
async fn a_model_is_trained_then_evaluated_and_once_for_the_same_rows() {
    let test = TrainedProject::start().await;
    test.renew(1, TestModel::binary(0.0)).await;
    let (first, ended) = run(&test).await;
    assert_eq!(ended.unwrap().state, PipelineRunState::Succeeded);
    assert_eq!(states(&test, &first).await, ["train succeeded", "evaluation succeeded"]);
    let (second, _) = run(&test).await;
    assert!(states(&test, &second).await.is_empty());
}

#[tokio::test]
async fn a_new_version_of_the_rows_trains_again() {
    let test = TrainedProject::start().await;
    test.renew(1, TestModel::binary(0.0)).await;
    run(&test).await.1.unwrap();
    test.renew(2, TestModel::binary(0.5)).await;
    let (second, _) = run(&test).await;
    assert_eq!(states(&test, &second).await, ["train succeeded", "evaluation succeeded"]);
}

#[tokio::test]
async fn a_training_that_fails_ends_its_tracked_run_and_skips_the_evaluation() {
    let test = TrainedProject::start().await;
    test.rows(1).await;
    let (first, ended) = run(&test).await;
    let error = ended.unwrap_err();
    assert_eq!(error.message(), "step `train` failed: this trainer trains nothing");
    assert_eq!(error.hint(), Some("give it a model"));
    let mut states = states(&test, &first).await;
    states.sort();
    assert_eq!(states, ["evaluation skipped", "train failed"]);
    let steps = pipeline_runs::steps(&test.test.system(), &test.project, first.id).await.unwrap();
    let tracked = steps.iter().find_map(|(step, _)| step.run_id).expect("a tracked run");
    let tracked = runs::get(&mut test.test.app.kernel.store().read().await.unwrap(), tracked).await.unwrap();
    assert_eq!(tracked.status, RunStatus::Failed);
}

#[tokio::test]
async fn a_column_that_the_task_names_and_the_rows_lack_fails_with_its_role() {
    for (role, column) in [("target", "late"), ("time", "hour"), ("key", "flight_id")] {
        let test = TrainedProject::start().await;
        test.test.trainer.make(TestModel::binary(0.0));
        let all = ["flight_id", "hour", "late", "dep_hour"];
        let class = |name: &str| match name {
            "hour" => perennial_core::schema::TypeClass::Timestamp,
            _ => perennial_core::schema::TypeClass::Int,
        };
        let rest: Vec<_> = all.into_iter().filter(|name| *name != column).map(|name| (name, class(name))).collect();
        test.version(test.dataset, 1, &rest).await;
        let error = run(&test).await.1.unwrap_err();
        let named = format!("which `[task] {role}` names");
        assert!(error.message().contains(&named) && error.message().contains(column), "{}", error.message());
    }
}

#[tokio::test]
async fn evidence_that_has_expired_is_gathered_again() {
    let file = toml_text::set(PROJECT_FILE, "release.evidence_ttl", "\"1 day\"");
    let test = TrainedProject::of(&file).await;
    test.renew(1, TestModel::binary(0.0)).await;
    run(&test).await.1.unwrap();
    test.test.clock.advance(2 * 86_400_000);
    let (second, _) = run(&test).await;
    let states = states(&test, &second).await;
    assert!(states.contains(&"evaluation succeeded".to_owned()), "{states:?}");
    assert!(!states.contains(&"train succeeded".to_owned()), "{states:?}");
}

#[tokio::test]
async fn a_project_without_rows_trains_nothing_and_says_so() {
    let test = TrainedProject::start().await;
    let (first, ended) = run(&test).await;
    assert_eq!(ended.unwrap_err().message(), "step `train` failed: dataset `flown` has no rows yet");
    assert!(states(&test, &first).await.iter().all(|state| state == "evaluation skipped"));
}
