//! The cases of the suite. Their names are the rules.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these functions are tests")]
#![expect(missing_docs, reason = "the names are the rules")]

use perennial_core::ErrorCode;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{Adoption, Exit, JobEnd, JobSpec, JobWatch, RunnerJobEvent};

use super::{Behaviour, RunnerUnderTest};

async fn submit(test: &impl RunnerUnderTest, behaviour: Behaviour) -> JobSpec {
    let job = test.job(behaviour);
    test.runner().submit(job.clone()).await.unwrap();
    job
}

async fn events(watch: &mut dyn JobWatch) -> Vec<RunnerJobEvent> {
    let mut events = Vec::new();
    while let Some(event) = watch.next().await.unwrap() {
        events.push(event);
    }
    events
}

/// Watches a job from its start to its end; returns its exit.
async fn exit(test: &impl RunnerUnderTest, id: RunnerJobId) -> Exit {
    let events = events(&mut *test.runner().watch(id).await.unwrap()).await;
    match events.as_slice() {
        [RunnerJobEvent::Started, RunnerJobEvent::Ended(JobEnd::Exited(outcome))] => outcome.exit.clone(),
        other => panic!("expected a start and an exit: {other:?}"),
    }
}

pub async fn a_job_starts_and_ends_with_its_exit_status(test: impl RunnerUnderTest) {
    for code in [0, 3] {
        let job = submit(&test, Behaviour::Exit(code)).await;
        assert_eq!(exit(&test, job.id).await, Exit::Code(code));
    }
}

pub async fn output_is_in_the_log(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Print("hello")).await;
    assert_eq!(exit(&test, job.id).await, Exit::Code(0));
    assert_eq!(test.log(&job), "hello\n");
}

pub async fn a_job_submitted_twice_runs_once(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Print("once")).await;
    test.runner().submit(job.clone()).await.unwrap();
    assert_eq!(exit(&test, job.id).await, Exit::Code(0));
    test.runner().submit(job.clone()).await.unwrap();
    assert_eq!(exit(&test, job.id).await, Exit::Code(0));
    assert_eq!(test.log(&job), "once\n");
}

pub async fn every_watch_reports_all_events(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Exit(1)).await;
    let runner = test.runner();
    let (mut first, mut second) = (runner.watch(job.id).await.unwrap(), runner.watch(job.id).await.unwrap());
    let (first, second) = tokio::join!(events(&mut *first), events(&mut *second));
    let late = events(&mut *runner.watch(job.id).await.unwrap()).await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!((&first, &first), (&second, &late));
}

pub async fn a_job_runs_on_when_a_watch_is_dropped(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::RunUntilCancelled).await;
    let mut watch = test.runner().watch(job.id).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(RunnerJobEvent::Started));
    drop(watch);
    assert_eq!(test.runner().adopt(job.id).await.unwrap(), Adoption::Running);
    test.runner().cancel(job.id).await.unwrap();
    assert_eq!(exit(&test, job.id).await, Exit::Cancelled);
}

pub async fn a_cancelled_job_ends(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::RunUntilCancelled).await;
    let mut watch = test.runner().watch(job.id).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(RunnerJobEvent::Started));
    test.runner().cancel(job.id).await.unwrap();
    test.runner().cancel(job.id).await.unwrap();
    assert_eq!(exit(&test, job.id).await, Exit::Cancelled);
}

pub async fn cancelling_an_ended_job_changes_nothing(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Exit(7)).await;
    assert_eq!(exit(&test, job.id).await, Exit::Code(7));
    test.runner().cancel(job.id).await.unwrap();
    assert_eq!(exit(&test, job.id).await, Exit::Code(7));
}

pub async fn an_unknown_job_is_not_found(test: impl RunnerUnderTest) {
    let (runner, id) = (test.runner(), RunnerJobId::generate());
    assert_eq!(runner.watch(id).await.err().unwrap().code(), ErrorCode::NotFound);
    assert_eq!(runner.cancel(id).await.unwrap_err().code(), ErrorCode::NotFound);
    assert_eq!(runner.adopt(id).await.unwrap_err().code(), ErrorCode::NotFound);
    runner.forget(id).await.unwrap();
}

pub async fn a_forgotten_job_is_not_found(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Exit(0)).await;
    exit(&test, job.id).await;
    test.runner().forget(job.id).await.unwrap();
    assert_eq!(test.runner().watch(job.id).await.err().unwrap().code(), ErrorCode::NotFound);
}

pub async fn a_running_job_cannot_be_forgotten(test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::RunUntilCancelled).await;
    assert_eq!(test.runner().forget(job.id).await.unwrap_err().code(), ErrorCode::WrongState);
    test.runner().cancel(job.id).await.unwrap();
    exit(&test, job.id).await;
    test.runner().forget(job.id).await.unwrap();
}

pub async fn a_job_that_ended_before_a_restart_keeps_its_end(mut test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::Exit(3)).await;
    exit(&test, job.id).await;
    test.restart();
    let Adoption::Ended(JobEnd::Exited(outcome)) = test.runner().adopt(job.id).await.unwrap() else {
        panic!("the job ended before the restart");
    };
    assert_eq!(outcome.exit, Exit::Code(3));
    assert_eq!(exit(&test, job.id).await, Exit::Code(3));
}

pub async fn a_running_job_is_adopted_after_a_restart(mut test: impl RunnerUnderTest) {
    let job = submit(&test, Behaviour::RunUntilCancelled).await;
    let mut watch = test.runner().watch(job.id).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(RunnerJobEvent::Started));
    drop(watch);
    test.restart();
    let adoption = test.runner().adopt(job.id).await.unwrap();
    if test.survives_restart() {
        assert_eq!(adoption, Adoption::Running);
        test.runner().cancel(job.id).await.unwrap();
        assert_eq!(exit(&test, job.id).await, Exit::Cancelled);
    } else {
        assert_eq!(adoption, Adoption::Ended(JobEnd::EndedWithServer));
        let events = events(&mut *test.runner().watch(job.id).await.unwrap()).await;
        assert_eq!(events.last(), Some(&RunnerJobEvent::Ended(JobEnd::EndedWithServer)));
    }
    test.runner().forget(job.id).await.unwrap();
}
