//! Durable jobs: when they are executed, retried, held, and executed again.

use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use perennial_core::entity::{Alert, Job, JobClaim};
use perennial_core::id::{ProjectId, ServerId};
use perennial_core::state::{AlertState, JobState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::job_worker::Worker;
use perennial_kernel::jobs::{JobKind, JobOutcome};
use perennial_kernel::{Kernel, alerts};
use perennial_store::jobs as table;
use perennial_testkit::TestApp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

/// A job that writes a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WriteFile {
    project: ProjectId,
    path: PathBuf,
}

impl JobKind for WriteFile {
    const NAME: &'static str = "write_file";

    fn project(&self) -> ProjectId {
        self.project
    }
}

struct Case {
    test: TestApp,
    project: ProjectId,
}

impl Case {
    async fn start() -> Self {
        let (test, project) = TestApp::with_project().await.unwrap();
        Self { test, project: project.id }
    }

    fn kernel(&self) -> &Arc<Kernel> {
        &self.test.app.kernel
    }

    fn job(&self) -> WriteFile {
        WriteFile { project: self.project, path: self.test.folder.path().join("written") }
    }

    /// Enqueues a job in a transaction that ends with `result`.
    async fn enqueue_and(&self, result: Result<()>) -> Result<()> {
        let (jobs, job) = (self.kernel().jobs.clone(), self.job());
        let write = self.kernel().store().write(move |tx| {
            Box::pin(async move {
                jobs.enqueue(tx, &job).await?;
                result
            })
        });
        write.await
    }

    async fn enqueue(&self) {
        self.enqueue_and(Ok(())).await.unwrap();
    }

    /// A worker that counts attempts and ends each as `end` says.
    fn worker(&self, end: impl Fn(u32) -> Result<JobOutcome> + Send + Sync + 'static) -> (Worker, Arc<AtomicU32>) {
        let attempts = Arc::new(AtomicU32::new(0));
        let (counted, end) = (attempts.clone(), Arc::new(end));
        let worker = Worker::new(self.kernel().clone()).handle(move |_: WriteFile| {
            let (counted, end) = (counted.clone(), end.clone());
            async move { end(counted.fetch_add(1, Ordering::AcqRel) + 1) }
        });
        (worker, attempts)
    }

    /// Every job, newest first.
    async fn jobs(&self) -> Vec<Job> {
        table::list(&mut self.kernel().store().read().await.unwrap(), None, None, None, 100).await.unwrap().items
    }

    async fn alerts(&self) -> Vec<Alert> {
        alerts::list(&self.test.system(), self.project, None, 100).await.unwrap().items
    }
}

fn no_space() -> Result<JobOutcome> {
    Err(Error::new(ErrorCode::Storage, "no space"))
}

#[tokio::test]
async fn a_job_is_executed_once_after_its_transaction_and_never_without_it() {
    let case = Case::start().await;
    let (worker, attempts) = case.worker(|_| Ok(JobOutcome::Done));
    case.enqueue_and(Err(Error::new(ErrorCode::WrongState, "undone"))).await.unwrap_err();
    worker.run_due().await.unwrap();
    assert_eq!(attempts.load(Ordering::Acquire), 0);
    case.enqueue().await;
    for _ in 0..2 {
        worker.run_due().await.unwrap();
        assert_eq!(attempts.load(Ordering::Acquire), 1);
    }
    assert_eq!(case.jobs().await[0].state, JobState::Succeeded);
}

#[tokio::test]
async fn a_handler_receives_the_payload_that_was_enqueued() {
    let case = Case::start().await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let seen = received.clone();
    let worker = Worker::new(case.kernel().clone()).handle(move |job: WriteFile| {
        seen.lock().unwrap().push(job);
        async { Ok(JobOutcome::Done) }
    });
    case.enqueue().await;
    worker.run_due().await.unwrap();
    assert_eq!(*received.lock().unwrap(), [case.job()]);
}

#[tokio::test]
async fn a_job_that_fails_is_retried_with_growing_delays_and_held_with_an_alert() {
    let case = Case::start().await;
    let (worker, attempts) = case.worker(|_| no_space());
    case.enqueue().await;
    worker.run_due().await.unwrap();
    for failed in 1..10 {
        assert_eq!(attempts.load(Ordering::Acquire), failed);
        let delay_ms = SECOND << (failed - 1);
        case.test.clock.advance(delay_ms - 1);
        worker.run_due().await.unwrap();
        assert_eq!(attempts.load(Ordering::Acquire), failed, "before {delay_ms} ms");
        assert_eq!(case.alerts().await, [], "an attempt is left");
        case.test.clock.advance(1);
        worker.run_due().await.unwrap();
    }
    case.test.clock.advance(24 * HOUR);
    worker.run_due().await.unwrap();
    assert_eq!(attempts.load(Ordering::Acquire), 10);
    let (held, alert) = (&case.jobs().await[0], &case.alerts().await[0]);
    assert_eq!((held.state, held.message.as_deref()), (JobState::Held, Some("no space")));
    assert_eq!((alert.subject.to_string(), alert.name.as_str()), ("job:write_file".to_owned(), "held"));
    assert_eq!(alert.message, "job `write_file` is held after 10 attempts: no space");
}

#[tokio::test]
async fn a_later_job_of_the_kind_that_is_done_resolves_the_alert() {
    let case = Case::start().await;
    let (worker, _) = case.worker(|attempt| if attempt <= 10 { no_space() } else { Ok(JobOutcome::Done) });
    case.enqueue().await;
    for _ in 0..10 {
        worker.run_due().await.unwrap();
        case.test.clock.advance(HOUR);
    }
    assert_eq!(case.alerts().await[0].state, AlertState::Firing);
    case.enqueue().await;
    worker.run_due().await.unwrap();
    assert_eq!(case.alerts().await[0].state, AlertState::Resolved);
}

#[tokio::test]
async fn a_postponed_attempt_is_not_counted() {
    let case = Case::start().await;
    let (worker, attempts) = case.worker(|attempt| match attempt {
        1..=50 => Ok(JobOutcome::Postponed(Duration::from_secs(10))),
        _ => Ok(JobOutcome::Done),
    });
    case.enqueue().await;
    for attempt in 1..=51 {
        worker.run_due().await.unwrap();
        assert_eq!(attempts.load(Ordering::Acquire), attempt);
        case.test.clock.advance(10 * SECOND);
    }
    assert_eq!((case.jobs().await[0].state, case.alerts().await), (JobState::Succeeded, Vec::new()));
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt() {
    let case = Case::start().await;
    let (worker, _) = case.worker(|attempt| {
        assert_ne!(attempt, 1, "the first attempt panics");
        Ok(JobOutcome::Done)
    });
    case.enqueue().await;
    worker.run_due().await.unwrap();
    let failed = &case.jobs().await[0];
    assert_eq!(failed.state, JobState::Pending);
    assert!(failed.message.as_ref().unwrap().contains("panicked"), "{failed:?}");
    case.test.clock.advance(SECOND);
    worker.run_due().await.unwrap();
    assert_eq!(case.jobs().await[0].state, JobState::Succeeded);
}

#[tokio::test]
async fn a_worker_starts_a_job_as_soon_as_it_is_enqueued_and_stops_with_the_supervisor() {
    let case = Case::start().await;
    let (executed, mut executions) = mpsc::unbounded_channel();
    let worker = Worker::new(case.kernel().clone()).handle(move |_: WriteFile| {
        executed.send(()).unwrap();
        async { Ok(JobOutcome::Done) }
    });
    case.kernel().work.spawn("jobs", worker.run());
    for _ in 0..3 {
        case.enqueue().await;
        executions.recv().await.unwrap();
    }
    case.kernel().work.stop(Duration::from_secs(60)).await;
    assert!(case.jobs().await.iter().all(|job| job.state == JobState::Succeeded), "the last attempt is finished");
    case.enqueue().await;
    assert_eq!(executions.recv().await, None, "the handler is gone");
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_job_is_executed_and_an_attempt_that_lost_it_is_dropped() {
    let case = Case::start().await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    // The sender of the handler is dropped with the attempt.
    let (alive, mut dropped) = mpsc::unbounded_channel::<()>();
    let alive = Mutex::new(Some(alive));
    let worker = Worker::new(case.kernel().clone()).lease(Duration::from_millis(3)).handle(move |_: WriteFile| {
        begun.send(()).unwrap();
        let alive = alive.lock().unwrap().take();
        async move {
            let _alive = alive;
            pending().await
        }
    });
    case.enqueue().await;
    case.kernel().work.spawn("jobs", worker.run());
    begins.recv().await.unwrap();
    case.test.clock.advance(1);
    let renewed_ms = perennial_testkit::WALL_MS + 4;
    let renewed = async {
        while case.jobs().await[0].lease_until_ms != Some(renewed_ms) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), renewed).await.expect("the lease is renewed");
    let id = case.jobs().await[0].id;
    let cancel = case.kernel().store().write(move |tx| Box::pin(async move { Ok(table::cancel(tx, id, 0).await?) }));
    cancel.await.unwrap();
    assert_eq!(dropped.recv().await, None);
    case.kernel().work.stop(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_job_that_was_enqueued_before_the_server_died_is_executed_by_the_next_one() {
    let case = Case::start().await;
    let file = case.job().path;
    case.enqueue().await;
    let next = Case { project: case.project, test: case.test.restart().await.unwrap() };
    let worker = Worker::new(next.kernel().clone()).handle(async |job: WriteFile| {
        std::fs::write(job.path, "once").unwrap();
        Ok(JobOutcome::Done)
    });
    worker.run_due().await.unwrap();
    assert_eq!((std::fs::read_to_string(file).unwrap(), next.jobs().await[0].attempts), ("once".to_owned(), 1));
}

#[tokio::test]
async fn an_attempt_whose_server_died_is_made_again_when_its_lease_expires() {
    let case = Case::start().await;
    let (file, begun) = (case.job().path, Arc::new(tokio::sync::Notify::new()));
    let began = begun.clone();
    // It dies after the effect, before the end is stored.
    let worker = Worker::new(case.kernel().clone()).handle(move |job: WriteFile| {
        std::fs::write(job.path, "once").unwrap();
        began.notify_one();
        pending()
    });
    case.enqueue().await;
    case.kernel().work.spawn("jobs", worker.run());
    begun.notified().await;
    let next = Case { project: case.project, test: case.test.restart().await.unwrap() };
    let worker = Worker::new(next.kernel().clone()).handle(async |job: WriteFile| {
        std::fs::write(job.path, "once").unwrap();
        Ok(JobOutcome::Done)
    });
    worker.run_due().await.unwrap();
    assert_eq!(next.jobs().await[0].state, JobState::Running, "its lease lasts");
    next.test.clock.advance(30 * SECOND);
    worker.run_due().await.unwrap();
    let done = &next.jobs().await[0];
    assert_eq!((done.state, done.attempts), (JobState::Succeeded, 2));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "once");
}

#[tokio::test]
async fn a_job_whose_servers_all_died_is_held_with_an_alert() {
    let case = Case::start().await;
    let (worker, attempts) = case.worker(|_| Ok(JobOutcome::Done));
    case.enqueue().await;
    for _ in 0..2 {
        let wall_ms = case.kernel().services.clock.wall_ms();
        let claim = JobClaim {
            kinds: vec![WriteFile::NAME.to_owned()],
            holder: ServerId::generate(),
            wall_ms,
            project: None,
            lease_until_ms: wall_ms + SECOND,
            attempts_max: 2,
            limit: 1,
        };
        let claimed =
            case.kernel().store().write(move |tx| Box::pin(async move { Ok(table::claim(tx, &claim).await?) }));
        assert_eq!(claimed.await.unwrap().rows.len(), 1);
        case.test.clock.advance(SECOND);
    }
    worker.run_due().await.unwrap();
    assert_eq!((attempts.load(Ordering::Acquire), case.jobs().await[0].state), (0, JobState::Held));
    let alerts = case.alerts().await;
    assert!(alerts[0].message.contains("the lease of attempt 2 expired"), "{}", alerts[0].message);
}

#[tokio::test]
async fn jobs_that_ended_are_deleted_after_a_day_and_other_kinds_are_left_alone() {
    let case = Case::start().await;
    let (worker, _) = case.worker(|_| Ok(JobOutcome::Done));
    for _ in 0..3 {
        case.enqueue().await;
        worker.run_due().await.unwrap();
    }
    assert_eq!(case.jobs().await.len(), 3);
    case.test.clock.advance(24 * HOUR + 1);
    case.enqueue().await;
    Worker::new(case.kernel().clone()).run_due().await.unwrap();
    assert_eq!(case.jobs().await[0].state, JobState::Pending, "this worker has no handler of the kind");
    worker.run_due().await.unwrap();
    assert_eq!(case.jobs().await.len(), 1);
}
