//! Cancelling, and how many steps and runs are active at the same time.

use perennial_core::ErrorCode;
use perennial_core::id::RunnerJobId;
use perennial_core::permission::Role;
use perennial_core::port::runner::{Exit, JobEnd, RunnerJobEvent};
use perennial_core::state::{PipelineRunState, RunStatus};
use perennial_execution::pipelines::PipelineEvent;
use perennial_kernel::access::TokenCache;
use perennial_testkit::toml_text;

use crate::support::TestProject;

/// A step that ends at once, and one that runs until it is cancelled.
const ENDLESS: &str = r#"
[steps.first]
run = ["write:rows.csv:1"]
env = "system"
outputs = { rows = { path = "rows.csv" } }

[steps.endless]
run = ["wait"]
env = "system"
inputs = ["first.rows"]
"#;

#[tokio::test]
async fn a_cancelled_run_ends_its_job_and_keeps_completed_steps() {
    let test = TestProject::start(ENDLESS).await;
    let (run, ended) = test.begin().await;
    let attempt = test.wait_for_running_step(run.id, "endless").await;
    test.wait_for_job(&attempt).await;
    let runner = test.test.app.kernel.services.runner.clone();
    let mut job = runner.watch(RunnerJobId::from(attempt.id.uuid())).await.unwrap();
    let caller = test.test.system();
    let cancelled = test.test.app.execution.cancel(&caller, &test.project, run.id).await.unwrap();
    assert_eq!(cancelled.state, PipelineRunState::Cancelled);
    let outcome = ended.await.unwrap().unwrap();
    assert_eq!(
        (outcome.state, outcome.message.as_deref()),
        (PipelineRunState::Cancelled, Some("cancelled by perennial"))
    );
    assert_eq!(job.next().await.unwrap(), Some(RunnerJobEvent::Started));
    let Some(RunnerJobEvent::Ended(JobEnd::Exited(outcome))) = job.next().await.unwrap() else {
        panic!("the job was cancelled")
    };
    assert_eq!(outcome.exit, Exit::Cancelled);
    assert_eq!(test.states(run.id).await, ["endless interrupted", "first succeeded"]);
    let (tracked, _) = test.tracked(&test.attempt(run.id, "endless").await).await;
    assert_eq!(tracked.status, RunStatus::Killed);
    test.submit(&toml_text::set(ENDLESS, "steps.endless.run", "[\"print:x\"]")).await;
    assert_eq!(test.run_states().await, ["endless succeeded", "first cached"]);
}

#[tokio::test]
async fn followers_of_a_cancelled_run_learn_its_end() {
    let test = TestProject::start(ENDLESS).await;
    let (run, ended) = test.begin().await;
    test.wait_for_running(run.id, 1).await;
    test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    ended.await.unwrap().unwrap();
    let last = test.events(run.id).await.pop();
    assert!(matches!(&last, Some(PipelineEvent::Ended { state, .. }) if state == "cancelled"), "{last:?}");
}

#[tokio::test]
async fn a_run_that_no_server_executes_is_cancelled() {
    let test = TestProject::start(ENDLESS).await;
    let run = test.request(&[]).await;
    let cancelled = test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    assert_eq!(cancelled.state, PipelineRunState::Cancelled);
}

#[tokio::test]
async fn a_run_that_has_ended_cannot_be_cancelled() {
    let test = TestProject::start("[steps.short]\nrun = [\"print:x\"]\nenv = \"system\"\n").await;
    let ended = test.run().await;
    let refused = test.test.app.execution.cancel(&test.test.system(), &test.project, ended.id).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::WrongState);
    assert!(refused.message().ends_with("has ended: it is succeeded"), "{}", refused.message());
}

#[tokio::test]
async fn a_viewer_cannot_cancel() {
    let test = TestProject::start(ENDLESS).await;
    let run = test.request(&[]).await;
    let viewer = test.test.caller("vera", Role::Viewer).await.unwrap();
    let refused = test.test.app.execution.cancel(&viewer, &test.project, run.id).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn at_most_two_steps_run_at_the_same_time() {
    let file: String =
        ["a", "b", "c"].map(|step| format!("[steps.{step}]\nrun = [\"wait\"]\nenv = \"system\"\n\n")).concat();
    let test = TestProject::start(&file).await;
    let (run, ended) = test.begin().await;
    for attempt in test.wait_for_running(run.id, 2).await {
        test.wait_for_job(&attempt).await;
    }
    assert_eq!(test.states(run.id).await, ["a running", "b running"], "the third waits");
    test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_run_waits_for_the_first_and_then_has_nothing_to_do() {
    let test = TestProject::start("[steps.short]\nrun = [\"print:x\"]\nenv = \"system\"\n").await;
    let (_, first) = test.begin().await;
    let (_, second) = test.begin().await;
    let states = [first.await.unwrap().unwrap().state, second.await.unwrap().unwrap().state];
    assert!(states.contains(&PipelineRunState::Succeeded) && states.contains(&PipelineRunState::NothingToDo));
}

/// The first line of the log of a job that runs.
fn first_line(test: &TestProject) -> String {
    let work = test.test.folder.path().join("work");
    let mut folders = vec![work];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if let Ok(text) = std::fs::read_to_string(entry.path())
                && text.starts_with("prn_")
            {
                return text.lines().next().unwrap().to_owned();
            }
        }
    }
    panic!("no job has written its token")
}

#[tokio::test]
async fn the_token_of_a_cancelled_step_is_refused_at_once() {
    let file = "[steps.endless]\nrun = [\"env:MLFLOW_TRACKING_TOKEN\", \"wait\"]\nenv = \"system\"\n";
    let test = TestProject::start(file).await;
    let kernel = test.test.app.kernel.clone();
    kernel.address.set("http://127.0.0.1:1".to_owned()).unwrap();
    let (run, ended) = test.begin().await;
    let attempt = test.wait_for_running(run.id, 1).await.remove(0);
    test.wait_for_job(&attempt).await;
    let (secret, cache) = (first_line(&test), TokenCache::default());
    cache.authenticate(&kernel, &secret).await.unwrap();
    test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    assert_eq!(cache.authenticate(&kernel, &secret).await.unwrap_err().code(), ErrorCode::Unauthenticated);
    ended.await.unwrap().unwrap();
}
