//! Requesting pipeline runs and reading them.

use std::time::Duration;

use perennial_core::ErrorCode;
use perennial_core::id::PipelineRunId;
use perennial_core::permission::Role;
use perennial_core::state::PipelineRunState;
use perennial_execution::pipeline_runs::{self, PipelineKind};
use perennial_execution::pipelines::{self, PipelineEvent, PipelineOptions};
use perennial_testkit::by_person;

use crate::support::{TestProject, name};

const FILE: &str = "[steps.features]\nrun = [\"print:x\"]\nenv = \"system\"\n";

/// The error of a request for a step.
async fn refused(file: &str, step: &str) -> (String, String) {
    let test = TestProject::start(file).await;
    let options = PipelineOptions { steps: vec![name(step)], ..PipelineOptions::default() };
    let (caller, kind) = (test.test.system(), PipelineKind::Run);
    let error = pipelines::request(&caller, &test.project, kind, by_person(), &options).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    (error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_unknown_step_is_refused_with_a_suggestion() {
    let (message, hint) = refused(FILE, "feature").await;
    assert!(message.contains("`feature`"), "{message}");
    assert!(hint.contains("features"), "{hint}");
    let (_, hint) = refused(FILE, "zzz").await;
    assert_eq!(hint, "the project file has `features`");
}

#[tokio::test]
async fn a_project_file_without_steps_is_named_as_the_reason() {
    let (_, hint) = refused("", "features").await;
    assert_eq!(hint, "the project file has no steps");
}

#[tokio::test]
async fn a_viewer_reads_runs_and_requests_none() {
    let test = TestProject::start(FILE).await;
    let ended = test.run().await;
    let viewer = test.test.caller("vera", Role::Viewer).await.unwrap();
    let options = PipelineOptions::default();
    let refused = pipelines::request(&viewer, &test.project, PipelineKind::Run, by_person(), &options).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PermissionDenied);
    let read = pipeline_runs::get(&viewer, &test.project, ended.id).await.unwrap();
    assert_eq!(read.state, PipelineRunState::Succeeded);
    let planned = test.test.app.execution.plan(&viewer, &test.project, Vec::new()).await;
    assert_eq!(planned.unwrap_err().code(), ErrorCode::PermissionDenied, "a plan reads sources");
}

#[tokio::test]
async fn a_release_needs_the_right_to_approve() {
    let test = TestProject::start(FILE).await;
    let options = PipelineOptions::default();
    for (role, is_allowed) in [(Role::Contributor, false), (Role::Approver, true)] {
        let caller = test.test.caller(&format!("{role:?}").to_lowercase(), role).await.unwrap();
        let requested = pipelines::request(&caller, &test.project, PipelineKind::Release, by_person(), &options).await;
        assert_eq!(requested.is_ok(), is_allowed, "{role:?}");
    }
}

#[tokio::test]
async fn a_requested_run_is_pending_until_it_is_activated() {
    let test = TestProject::start(FILE).await;
    let run = test.request(&[]).await;
    let read = pipeline_runs::get(&test.test.system(), &test.project, run.id).await.unwrap();
    assert_eq!((read.state, read.started_ms), (PipelineRunState::Pending, None));
}

#[tokio::test]
async fn runs_are_listed_newest_first_in_pages() {
    let test = TestProject::start(FILE).await;
    let (first, second) = (test.request(&[]).await, test.request(&[]).await);
    let caller = test.test.system();
    let page = pipeline_runs::list(&caller, &test.project, None, 1).await.unwrap();
    assert_eq!(page.items.iter().map(|run| run.id).collect::<Vec<_>>(), [second.id]);
    let next = page.next.expect("another page");
    let page = pipeline_runs::list(&caller, &test.project, Some(&next), 1).await.unwrap();
    assert_eq!(page.items.iter().map(|run| run.id).collect::<Vec<_>>(), [first.id]);
}

#[tokio::test]
async fn an_unknown_run_is_not_found() {
    let test = TestProject::start(FILE).await;
    let (caller, id) = (test.test.system(), PipelineRunId::generate());
    let code = async |found: perennial_core::Result<()>| found.unwrap_err().code();
    let got = pipeline_runs::get(&caller, &test.project, id).await.map(drop);
    assert_eq!(code(got).await, ErrorCode::NotFound);
    let steps = pipeline_runs::steps(&caller, &test.project, id).await.map(drop);
    assert_eq!(code(steps).await, ErrorCode::NotFound);
    let log = pipeline_runs::log(&caller, &test.project, id, &name("features")).await.map(drop);
    assert_eq!(code(log).await, ErrorCode::NotFound);
}

#[tokio::test]
async fn the_log_of_a_step_that_never_ran_is_not_found_with_the_command_that_runs_it() {
    let test = TestProject::start(FILE).await;
    let missing = pipeline_runs::newest_log(&test.test.system(), &test.project, &name("features")).await.unwrap_err();
    assert_eq!(missing.code(), ErrorCode::NotFound);
    assert!(missing.hint().unwrap_or_default().contains("`perennial run`"));
}

#[tokio::test]
async fn events_follow_the_steps_from_start_to_end() {
    let test = TestProject::start(FILE).await;
    let ended = test.run().await;
    let events: Vec<String> = test.events(ended.id).await.iter().map(kind).collect();
    let position = |event: &str| events.iter().position(|known| known == event).expect(event);
    assert!(position("features started") < position("features: x"), "{events:?}");
    assert!(position("features: x") < position("features succeeded"), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("ended succeeded"));
}

/// An event in a few words.
fn kind(event: &PipelineEvent) -> String {
    match event {
        PipelineEvent::StepStarted { step, .. } => format!("{step} started"),
        PipelineEvent::StepLog { step, line } => format!("{step}: {line}"),
        PipelineEvent::StepEnded { step, state, .. } => format!("{step} {state}"),
        PipelineEvent::Ended { state, .. } => format!("ended {state}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn events_are_read_from_a_position_and_the_last_page_says_so() {
    let test = TestProject::start(FILE).await;
    let ended = test.run().await;
    let (execution, caller) = (&test.test.app.execution, test.test.system());
    let (all, is_last) = execution.events(&caller, &test.project, ended.id, 0, Duration::ZERO).await.unwrap();
    assert!(is_last && all.len() >= 3);
    let after = all[1].sequence;
    let (rest, _) = execution.events(&caller, &test.project, ended.id, after, Duration::ZERO).await.unwrap();
    assert_eq!(rest.len(), all.len() - 2);
    let (none, is_last) =
        execution.events(&caller, &test.project, ended.id, i64::MAX, Duration::from_secs(60)).await.unwrap();
    assert!(none.is_empty() && is_last, "a run that has ended is not waited for");
}

#[tokio::test]
async fn a_follower_receives_events_as_they_are_stored() {
    let test = TestProject::start("[steps.only]\nrun = [\"wait\"]\nenv = \"system\"\n").await;
    let (run, ended) = test.begin().await;
    let (execution, caller) = (&test.test.app.execution, test.test.system());
    let (first, is_last) = execution.events(&caller, &test.project, run.id, 0, Duration::from_secs(60)).await.unwrap();
    assert!(!first.is_empty() && !is_last);
    test.wait_for_running(run.id, 1).await;
    execution.cancel(&caller, &test.project, run.id).await.unwrap();
    ended.await.unwrap().unwrap();
}
