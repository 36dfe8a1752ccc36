//! The conformance suite of [`Runner`]: what execution relies on.
//!
//! [`runner_conformance!`](crate::runner_conformance) declares a test for each case.

mod cases;

use std::sync::Arc;

pub use cases::*;
use perennial_core::port::runner::{JobSpec, Runner};

/// What a job does.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// Exits with a status.
    Exit(i32),
    /// Prints a line and exits with status 0.
    Print(&'static str),
    /// Runs until it is cancelled.
    RunUntilCancelled,
}

/// A runner under test.
pub trait RunnerUnderTest {
    /// The runner.
    fn runner(&self) -> Arc<dyn Runner>;

    /// Restarts the server: drops the runner and creates another over the same records.
    fn restart(&mut self);

    /// A job of a new id.
    fn job(&self, behaviour: Behaviour) -> JobSpec;

    /// The log of a job.
    fn log(&self, job: &JobSpec) -> String;

    /// Whether a job runs on while the server restarts.
    fn survives_restart(&self) -> bool;
}

/// Declares a test for each case of the suite. `$start` is an expression that creates a [`RunnerUnderTest`].
#[macro_export]
macro_rules! runner_conformance {
    ($start:expr) => {
        $crate::runner_conformance! { @tests $start;
            a_job_starts_and_ends_with_its_exit_status,
            output_is_in_the_log,
            a_job_submitted_twice_runs_once,
            every_watch_reports_all_events,
            a_job_runs_on_when_a_watch_is_dropped,
            a_cancelled_job_ends,
            cancelling_an_ended_job_changes_nothing,
            an_unknown_job_is_not_found,
            a_forgotten_job_is_not_found,
            a_running_job_cannot_be_forgotten,
            a_job_that_ended_before_a_restart_keeps_its_end,
            a_running_job_is_adopted_after_a_restart,
        }
    };
    (@tests $start:expr; $($case:ident,)*) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::conformance::runner::$case($start).await;
        }
    )*};
}
