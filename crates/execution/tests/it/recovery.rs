//! Runs that another server left behind.

use std::collections::BTreeMap;

use perennial_core::entity::{PipelineRun, StepOutcome, StepRun};
use perennial_core::id::{RunnerJobId, StepRunId};
use perennial_core::port::runner::{
    Environment, Exit, JobEnd, JobIsolation, JobNetwork, JobSpec, Limits, RunnerJobEvent,
};
use perennial_core::state::{PipelineRunEvent, PipelineRunState, StepRunEvent, StepRunState};
use perennial_core::{ErrorCode, Result};
use perennial_execution::pipelines;
use perennial_execution::pipelines::RunOutcome;
use perennial_store::{pipeline_runs, step_runs};

use crate::support::{TestProject, name};

const FILE: &str = "[steps.only]\nrun = [\"print:x\"]\nenv = \"system\"\n";

/// A run that another server was executing when it died, with a running attempt at its step.
async fn left(test: &TestProject) -> (PipelineRun, StepRunId) {
    left_by(test, "another server").await
}

async fn left_by(test: &TestProject, holder: &str) -> (PipelineRun, StepRunId) {
    let run = test.request(&[]).await;
    let (attempt, at_ms, holder) = (run.id, run.wall_ms, holder.to_owned());
    let id = begin_attempt(test, &run).await;
    let store = test.test.app.kernel.store();
    let written: Result<()> = store
        .write(move |tx| {
            Box::pin(async move {
                pipeline_runs::set_holder(tx, attempt, Some(&holder)).await?;
                pipeline_runs::apply(tx, attempt, PipelineRunEvent::Start, None, at_ms).await?;
                Ok(())
            })
        })
        .await;
    written.unwrap();
    (run, id)
}

/// Records a running attempt at the step.
async fn begin_attempt(test: &TestProject, run: &PipelineRun) -> StepRunId {
    let (id, at_ms) = (StepRunId::generate(), run.wall_ms);
    let row = StepRun {
        id,
        project_id: test.project.id,
        pipeline_run_id: run.id,
        step: name("only"),
        attempt: 1,
        state: StepRunState::Pending,
        cache_key: "key".to_owned(),
        key_parts: serde_json::json!({}),
        reused_from: None,
        run_id: None,
        runner: Some("fake".to_owned()),
        exit: None,
        peak_memory_bytes: None,
        isolation: None,
        message: None,
        log_digest: None,
        started_ms: None,
        ended_ms: None,
    };
    let store = test.test.app.kernel.store();
    let written: Result<()> = store
        .write(move |tx| {
            Box::pin(async move {
                step_runs::insert(tx, &row).await?;
                step_runs::apply(tx, id, StepRunEvent::Start, &StepOutcome::default(), at_ms).await?;
                Ok(())
            })
        })
        .await;
    written.unwrap();
    id
}

#[tokio::test]
async fn a_run_whose_task_is_gone_is_cancelled() {
    let test = TestProject::start(FILE).await;
    let server = test.test.app.kernel.server.to_string();
    let (run, attempt) = left_by(&test, &server).await;
    let cancelled = test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    assert_eq!(cancelled.state, PipelineRunState::Cancelled);
    assert_eq!(test.attempts(run.id).await[0].0.id, attempt);
    assert_eq!(test.states(run.id).await, ["only interrupted"]);
}

#[tokio::test]
async fn a_run_that_a_fault_ends_leaves_no_attempt_running() {
    let test = TestProject::start(FILE).await;
    let run = test.request(&[]).await;
    // The run cannot record an attempt of its own.
    begin_attempt(&test, &run).await;
    test.test.app.runner.run(&test.test.system(), &test.project, &run).await.unwrap_err();
    assert_eq!(test.states(run.id).await, ["only interrupted"]);
}

/// The job of an attempt, which runs until it is cancelled, or has ended.
async fn submit(test: &TestProject, attempt: StepRunId, word: &str) -> RunnerJobId {
    let folder = test.test.folder.path().join("root");
    let (path, readable) = (Vec::new(), Vec::new());
    let job = JobSpec {
        id: RunnerJobId::from(attempt.uuid()),
        argv: vec![word.to_owned()],
        inputs: Vec::new(),
        outputs: Vec::new(),
        env: BTreeMap::new(),
        environment: Environment { digest: "none".to_owned(), lock: None, path, readable, reproducible: true },
        isolation: JobIsolation::Full,
        network: JobNetwork::Full,
        limits: Limits::default(),
        log: folder.join("log"),
        folder,
    };
    let id = job.id;
    test.test.app.kernel.services.runner.submit(job).await.unwrap();
    id
}

async fn recover(test: &TestProject) -> Vec<PipelineRun> {
    pipelines::recover(&test.test.system()).await.unwrap()
}

async fn resume(test: &TestProject, run: &PipelineRun) -> Result<RunOutcome> {
    test.test.app.runner.resume(&test.test.system(), &test.project, run).await
}

#[tokio::test]
async fn a_damaged_run_or_attempt_keeps_no_other_run_from_being_recovered() {
    for damage in [
        "UPDATE pipeline_runs SET cause = '[' WHERE id = (SELECT MIN(id) FROM pipeline_runs)",
        "UPDATE step_runs SET key_parts = '[' WHERE id = (SELECT MIN(id) FROM step_runs)",
    ] {
        let test = TestProject::start(FILE).await;
        let (_, (run, _)) = (left(&test).await, left(&test).await);
        test.test.execute(damage).await.unwrap();
        let recovered = recover(&test).await;
        assert_eq!(recovered.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id], "{damage}");
    }
}

#[tokio::test]
async fn a_run_of_another_server_is_interrupted_with_its_attempts() {
    let test = TestProject::start(FILE).await;
    let (run, _) = left(&test).await;
    let recovered = recover(&test).await;
    assert_eq!(
        recovered.iter().map(|run| (run.id, run.state)).collect::<Vec<_>>(),
        [(run.id, PipelineRunState::Interrupted)]
    );
    assert_eq!(recovered[0].message.as_deref(), Some("the server stopped"));
    assert_eq!(test.states(run.id).await, ["only interrupted"]);
}

#[tokio::test]
async fn the_job_of_an_interrupted_attempt_is_cancelled_and_forgotten() {
    let test = TestProject::start(FILE).await;
    let (_, attempt) = left(&test).await;
    let job = submit(&test, attempt, "wait").await;
    let runner = &test.test.app.kernel.services.runner;
    let mut watch = runner.watch(job).await.unwrap();
    recover(&test).await;
    assert_eq!(watch.next().await.unwrap(), Some(RunnerJobEvent::Started));
    let Some(RunnerJobEvent::Ended(JobEnd::Exited(outcome))) = watch.next().await.unwrap() else {
        panic!("the job has ended")
    };
    assert_eq!(outcome.exit, Exit::Cancelled);
    assert_eq!(runner.watch(job).await.err().unwrap().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_job_that_ended_while_no_server_ran_is_forgotten() {
    let test = TestProject::start(FILE).await;
    let (_, attempt) = left(&test).await;
    let job = submit(&test, attempt, "exit:0").await;
    recover(&test).await;
    let watched = test.test.app.kernel.services.runner.watch(job).await;
    assert_eq!(watched.err().unwrap().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_resumed_run_makes_a_new_attempt_at_the_interrupted_step() {
    let test = TestProject::start(FILE).await;
    let (run, _) = left(&test).await;
    let interrupted = recover(&test).await.remove(0);
    let outcome = resume(&test, &interrupted).await.unwrap();
    assert_eq!(outcome.state, PipelineRunState::Succeeded);
    assert_eq!(test.states(run.id).await, ["only interrupted", "only succeeded"]);
    let newest = test.attempts(run.id).await.into_iter().map(|(run, _)| run.attempt).max();
    assert_eq!(newest, Some(2));
}

#[tokio::test]
async fn a_resumed_run_follows_the_project_file_that_it_was_requested_with() {
    let test = TestProject::start(FILE).await;
    let (run, _) = left(&test).await;
    test.submit(&FILE.replace("print:x", "print:y")).await;
    let interrupted = recover(&test).await.remove(0);
    resume(&test, &interrupted).await.unwrap();
    assert_eq!(test.log(run.id, "only").await, "x\n");
}

#[tokio::test]
async fn a_run_of_this_server_is_not_recovered() {
    let test = TestProject::start("[steps.only]\nrun = [\"wait\"]\nenv = \"system\"\n").await;
    let (run, ended) = test.begin().await;
    test.wait_for_running(run.id, 1).await;
    assert!(recover(&test).await.is_empty());
    assert_eq!(test.states(run.id).await, ["only running"]);
    test.test.app.execution.cancel(&test.test.system(), &test.project, run.id).await.unwrap();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_run_that_has_not_begun_stays_pending_and_is_resumed() {
    let test = TestProject::start(FILE).await;
    let run = test.request(&[]).await;
    let recovered = recover(&test).await.remove(0);
    assert_eq!((recovered.id, recovered.state), (run.id, PipelineRunState::Pending));
    assert_eq!(resume(&test, &recovered).await.unwrap().state, PipelineRunState::Succeeded);
}

#[tokio::test]
async fn a_recovered_run_can_be_recovered_again() {
    let test = TestProject::start(FILE).await;
    let (run, _) = left(&test).await;
    recover(&test).await;
    let again = recover(&test).await;
    assert_eq!(again.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id]);
    assert_eq!(test.states(run.id).await, ["only interrupted"]);
}
