//! `run` steps: any command, in a folder that has only the declared files.
//!
//! An attempt has three parts: [`prepare`] fills the working folder, [`job`] runs the command, [`collect`] stores the
//! outputs. Files are read and written on blocking threads.

mod collect;
mod environment;
mod failure;
mod job;
mod log_tail;
mod outputs;
mod prepare;
mod tracked_run;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perennial_config::{Isolation, Run};
use perennial_core::entity::StepOutcome;
use perennial_core::id::{RunId, RunnerJobId, StepRunId};
use perennial_core::name::StepName;
use perennial_core::port::runner::{Exit, Outcome};
use perennial_core::state::RunStatus;
use perennial_core::{Error, Result};
use serde_json::json;

use super::{StepResult, model};
use crate::pipelines::Context;
use perennial_kernel::Kernel;

pub(super) use environment::environment;
pub(crate) use job::cancel as cancel_job;

/// The message about an attempt that used the programs installed on the machine.
const NOT_REPRODUCIBLE: &str = "not reproducible: made by the machine's own programs";

/// One attempt at a step's command.
struct Attempt<'a> {
    context: &'a Arc<Context>,
    step: &'a StepName,
    id: StepRunId,
    /// The MLflow run of the attempt.
    tracked: RunId,
    run: &'a Run,
    /// The attempt's folder, with the log; the working folder is below it.
    folder: PathBuf,
}

/// Runs the command once. Its exit, usage and log are in `outcome`, also when it failed.
pub(super) async fn run(
    context: &Arc<Context>,
    step: &StepName,
    id: StepRunId,
    run: &Run,
    outcome: &mut StepOutcome,
) -> Result<StepResult> {
    let kernel = &context.caller.kernel;
    let tracked = model::begin_run(context, step, id, kernel.services.runner.name()).await?;
    let folder = kernel.services.work.join("steps").join(id.to_string());
    let cleanup = Cleanup::new(kernel, RunnerJobId::from(id.uuid()), &folder);
    let attempt = Attempt { context, step, id, tracked, run, folder };
    let result = attempt.execute(outcome).await;
    let status = if result.is_ok() { RunStatus::Finished } else { RunStatus::Failed };
    let (batch, artifacts) = attempt.run_batch(result.as_ref().ok()).await?;
    model::end_run(context, tracked, status, batch, artifacts).await?;
    cleanup.finish().await?;
    result
}

impl Attempt<'_> {
    async fn execute(&self, outcome: &mut StepOutcome) -> Result<StepResult> {
        let kernel = &self.context.caller.kernel;
        let prepared = self.prepare().await?;
        let ended = job::run(self.context, self.step, prepared.job.clone()).await;
        perennial_kernel::access::revoke(&self.context.caller, &prepared.token).await?;
        let ended = ended?.outcome()?;
        let environment = &prepared.job.environment;
        *outcome = StepOutcome {
            exit: Some(json!(ended.exit)),
            peak_memory_bytes: ended.peak_memory_bytes,
            isolation: Some(self.isolation(&ended)),
            message: (!environment.reproducible).then(|| NOT_REPRODUCIBLE.to_owned()),
            log_digest: Some(kernel.services.blobs.put_file(&prepared.job.log).await?.digest.to_string()),
        };
        if ended.exit != Exit::Code(0) {
            return Err(self.failure(prepared.job, ended).await?);
        }
        self.collect(environment).await
    }

    /// The working folder of the command.
    fn working_folder(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The isolation as recorded. A step that declares no isolation was not isolated, whatever the runner did.
    fn isolation(&self, outcome: &Outcome) -> String {
        match self.run.isolation {
            Isolation::None => "none (declared)".to_owned(),
            Isolation::Full => outcome.isolation.clone(),
        }
    }
}

/// Removes the attempt's folder and forgets its job. An attempt that is dropped before its end is cancelled first.
struct Cleanup {
    kernel: Arc<Kernel>,
    job: RunnerJobId,
    folder: PathBuf,
    is_finished: bool,
}

impl Cleanup {
    fn new(kernel: &Arc<Kernel>, job: RunnerJobId, folder: &Path) -> Self {
        Self { kernel: kernel.clone(), job, folder: folder.to_owned(), is_finished: false }
    }

    async fn finish(mut self) -> Result<()> {
        self.is_finished = true;
        self.kernel.services.runner.forget(self.job).await?;
        remove_folder(&self.kernel, self.folder.clone()).await
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let (kernel, job, folder) = (self.kernel.clone(), self.job, self.folder.clone());
        self.kernel.work.spawn("end of a cancelled step", async move {
            let cancelled = cancel_job(&*kernel.services.runner, job).await;
            if let Err(error) = cancelled.and(remove_folder(&kernel, folder).await) {
                tracing::warn!(job.id = %job, error = error.chain(), "cannot clean up a cancelled step");
            }
        });
    }
}

async fn remove_folder(kernel: &Kernel, folder: PathBuf) -> Result<()> {
    let removed = move || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::internal(format!("cannot remove the folder `{}`", folder.display()), error))
        }
        _ => Ok(()),
    };
    kernel.run_blocking_short(removed).await
}

/// A step's or output's name in a variable: `features.train` → `FEATURES_TRAIN`.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
