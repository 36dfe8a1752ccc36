//! Tracking: experiments, runs and what they log, as MLflow knows them.
//!
//! Runs of pipelines and runs that clients start are rows of the same table. A caller who may read a project may read
//! its experiments; any other experiment or run is `NotFound`, so that ids do not leak. A step's token writes its own run
//! and the runs below it.

pub mod artifacts;
pub mod experiments;
pub mod limits;
pub mod logging;
pub mod runs;

mod check;
mod names;
mod run_digest;

use perennial_core::entity::{Experiment, Run};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{experiments as experiment_rows, runs as run_rows};

use perennial_kernel::Caller;

pub use run_digest::{RunSealer, RunVerification, VerifiedRuns, verify, verify_runs};

/// The tag that names the run a run is part of.
pub const PARENT_TAG: &str = "mlflow.parentRunId";

/// The tag that holds a run's name.
pub const NAME_TAG: &str = "mlflow.runName";

/// Runs below runs: the deepest chain that is followed.
const DEPTH_MAX: usize = 32;

/// An experiment the caller may read.
async fn readable_experiment(caller: &Caller, id: ExperimentId) -> Result<Experiment> {
    let experiment = experiment_rows::get(&mut *caller.kernel.store().read().await?, id).await?;
    if caller.principal.may(Permission::Read, Some(experiment.project_id)) {
        Ok(experiment)
    } else {
        Err(Error::not_found("experiment", id))
    }
}

/// An experiment the caller may change; steps change none.
async fn writable_experiment(caller: &Caller, id: ExperimentId) -> Result<Experiment> {
    let experiment = readable_experiment(caller, id).await?;
    not_a_step(caller)?;
    caller.principal.require(Permission::Write, Some(experiment.project_id))?;
    Ok(experiment)
}

/// A run the caller may read.
async fn readable_run(caller: &Caller, id: RunId) -> Result<Run> {
    let run = run_rows::get(&mut *caller.kernel.store().read().await?, id).await?;
    if caller.principal.may(Permission::Read, Some(run.project_id)) {
        Ok(run)
    } else {
        Err(Error::not_found("run", id))
    }
}

/// A run the caller may write: for a step its own, or one below it.
async fn writable_run(caller: &Caller, id: RunId) -> Result<Run> {
    let run = readable_run(caller, id).await?;
    caller.principal.require(Permission::Write, Some(run.project_id))?;
    let Some(own) = caller.principal.run else { return Ok(run) };
    let (mut above, mut reader) = (Some(run.run_id), caller.kernel.store().read().await?);
    for _ in 0..DEPTH_MAX {
        match above {
            Some(id) if id == own => return Ok(run),
            Some(id) if id == run.run_id => above = run.parent_run_id,
            Some(id) => above = run_rows::get(&mut reader, id).await.ok().and_then(|run| run.parent_run_id),
            None => break,
        }
    }
    Err(Error::new(ErrorCode::PermissionDenied, format!("run `{id}` is neither the run of this step nor below it"))
        .with_hint("a step's token writes its own run and child runs; use a token of your own for others"))
}

/// A sealer for a write to a run.
async fn sealer_for(caller: &Caller, run: &Run) -> Result<RunSealer> {
    let sealer = RunSealer::new(caller, run.project_id).await?;
    if run.status.is_terminal() {
        sealer.prepare(caller, run.run_id).await?;
    }
    Ok(sealer)
}

fn not_a_step(caller: &Caller) -> Result<()> {
    if caller.principal.run.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::PermissionDenied,
        "a step's token reads its project and writes its own run, nothing else",
    )
    .with_hint("do this outside the step, with a token of your own"))
}
