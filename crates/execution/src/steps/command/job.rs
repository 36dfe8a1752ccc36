//! The command itself: a job of the runner.

use perennial_core::id::RunnerJobId;
use perennial_core::name::StepName;
use perennial_core::port::runner::{JobEnd, JobSpec, Runner, RunnerJobEvent};
use perennial_core::{Error, ErrorCode, Result};
use tokio::sync::oneshot;

use super::log_tail;
use crate::pipelines::Context;

/// Runs a job to its end and emits the lines of its log meanwhile.
pub(super) async fn run(context: &Context, step: &StepName, job: JobSpec) -> Result<JobEnd> {
    let (runner, id, log) = (&*context.caller.kernel.services.runner, job.id, job.log.clone());
    runner.submit(job).await?;
    let (ended, is_ended) = oneshot::channel::<()>();
    let ending = async {
        let end = wait(runner, id).await;
        drop(ended);
        end
    };
    let (end, ()) = tokio::join!(ending, log_tail::follow(context, step, &log, is_ended));
    end
}

/// Cancels a job, waits for its end and forgets it. A job that was never submitted has ended.
pub(crate) async fn cancel(runner: &dyn Runner, id: RunnerJobId) -> Result<()> {
    match runner.cancel(id).await {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(()),
        cancelled => cancelled?,
    }
    wait(runner, id).await?;
    runner.forget(id).await
}

/// Waits for the end of a job.
async fn wait(runner: &dyn Runner, id: RunnerJobId) -> Result<JobEnd> {
    let mut watch = runner.watch(id).await?;
    while let Some(event) = watch.next().await? {
        if let RunnerJobEvent::Ended(end) = event {
            return Ok(end);
        }
    }
    Err(Error::new(ErrorCode::Internal, format!("job `{id}` has no end")))
}
