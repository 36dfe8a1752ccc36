//! Executing a pipeline run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use perennial_core::cause::Cause;
use perennial_core::entity::{Load, PipelineRun, StepOutcome};
use perennial_core::id::StepRunId;
use perennial_core::name::{DatasetName, StepName};
use perennial_core::state::{StepRunEvent, StepRunState};
use perennial_core::{Error, Result};
use perennial_ingest::collect::{self, CollectEvent};
use perennial_ingest::loads::LoadOutcome;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::{Caller, STEPS_MAX};
use perennial_projects::{ProjectState, Submission};
use perennial_store::step_runs;
use tokio::task::JoinSet;

use super::active_runs::Cancellation;
use super::context::Context;
use super::event::PipelineEvent;
use crate::plan::{KeyParts, Outcome, Schedule};
use crate::{Execution, steps};

/// The results of collecting and of the steps of a run.
pub struct Executed {
    /// What the steps share.
    pub context: Arc<Context>,
    /// What collecting did.
    pub collected: collect::Collected,
    /// Steps that ran.
    pub steps_run: usize,
}

impl Executed {
    /// The held loads that the run reports: all whose files are still there; of a triggered run those it held.
    pub fn held(&self) -> Vec<&Load> {
        if self.context.is_triggered() {
            return self.collected.held.iter().map(|(_, load)| load).collect();
        }
        self.collected.holding.iter().collect()
    }
}

/// Collects and brings every step up to date; `None` when the run was cancelled.
pub(super) async fn execute(
    execution: &Arc<Execution>,
    caller: &Caller,
    project: &Arc<ProjectState>,
    run: &PipelineRun,
    cancellation: &Cancellation,
    submission: Arc<Submission>,
) -> Result<Option<Executed>> {
    let mut context = Context::new(execution, caller, project, submission, run).await?;
    // The scheduler has collected before it evaluates monitors.
    let is_collected = matches!(context.run.cause, Cause::Monitor { .. });
    let collected = if is_collected {
        collect::Collected::default()
    } else {
        // The next collection recovers a load that is interrupted here.
        tokio::select! {
            biased;
            () = cancellation.requested() => return Ok(None),
            collected = gather(&context) => collected?,
        }
    };
    context.snapshot = Mutex::new(DatasetSnapshot::latest(&caller.kernel, project.id).await?);
    let context = Arc::new(context);
    let (graph, wanted) = context.graph()?;
    let mut schedule = Schedule::new(&graph, &wanted);
    let mut executed = 0;
    let mut failures: Vec<(StepName, Error)> = Vec::new();
    let mut running: JoinSet<(StepName, Result<()>)> = JoinSet::new();
    loop {
        while let Some(name) = schedule.start(STEPS_MAX) {
            let step: StepName = name.parse()?;
            let parts = match reuse(&context, &step).await {
                Ok(Some(parts)) => parts,
                Ok(None) => {
                    schedule.finish(&name, Outcome::Done);
                    continue;
                }
                Err(error) => {
                    schedule.finish(&name, Outcome::Failed);
                    failures.push((step, error));
                    continue;
                }
            };
            context.store_reused().await?;
            let shared = context.clone();
            running.spawn(async move {
                let result = steps::run(shared, step.clone(), parts).await;
                (step, result)
            });
        }
        let done = tokio::select! {
            biased;
            () = cancellation.requested() => {
                running.shutdown().await;
                return Ok(None);
            }
            done = running.join_next() => done,
        };
        let Some(done) = done else { break };
        let (step, result) = done.map_err(|panic| Error::internal("a step ended abruptly", panic))?;
        match result {
            Ok(()) => {
                executed += 1;
                schedule.finish(step.as_str(), Outcome::Done);
            }
            Err(error) => {
                schedule.finish(step.as_str(), Outcome::Failed);
                failures.push((step, error));
            }
        }
    }
    let reused = context.reused.lock().unwrap_or_else(PoisonError::into_inner).len();
    if executed > 0 || !failures.is_empty() || context.returned_to_earlier() {
        context.store_reused().await?;
    }
    if executed > 0 || reused > 0 {
        context
            .emit(PipelineEvent::Cached { steps: wanted.len() - executed - failures.len() - schedule.skipped().len() })
            .await;
    }
    skip(&context, schedule.skipped()).await?;
    if let Some((step, error)) = failures.into_iter().next() {
        return Err(failure(&collected.failed, &step, &error));
    }
    if cancellation.is_requested() {
        return Ok(None);
    }
    Ok(Some(Executed { context, collected, steps_run: executed }))
}

/// The error of a run whose step failed. Datasets that could not be loaded come first: the step may lack their rows.
fn failure(unloaded: &[(DatasetName, Error)], step: &StepName, error: &Error) -> Error {
    let step_failed = format!("step `{step}` failed: {}", error.message());
    let Some((_, cause)) = unloaded.first() else { return error.with_message(step_failed) };
    let causes =
        unloaded.iter().map(|(dataset, cause)| format!("dataset `{dataset}` was not loaded: {}", cause.message()));
    let all: Vec<String> = causes.chain([step_failed]).collect();
    cause.with_message(all.join("; "))
}

/// The longest wait for files that may still be being written. Files of sources with a longer `settle` are left for the
/// scheduler.
const SETTLE_WAIT_MAX_MS: i64 = 5_000;

/// Collects all sources. Fresh files are waited for, so that a run that follows a copy sees the copied files.
async fn gather(context: &Context) -> Result<collect::Collected> {
    let mut reported = Vec::new();
    let mut collected = collect_once(context, &mut reported).await?;
    let wait_ms = collected.settle_wait_ms;
    if (1..=SETTLE_WAIT_MAX_MS).contains(&wait_ms) {
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        collected.merge(collect_once(context, &mut reported).await?);
    }
    let mut unsettled: BTreeMap<&DatasetName, Vec<&String>> = BTreeMap::new();
    for (dataset, path) in &collected.unsettled {
        unsettled.entry(dataset).or_default().push(path);
    }
    for (dataset, paths) in unsettled {
        let path = paths.first().copied().cloned().unwrap_or_default();
        context.emit(PipelineEvent::SourceUnsettled { dataset: dataset.clone(), path, files: paths.len() }).await;
    }
    Ok(collected)
}

/// One pass over the sources. What an earlier pass has `reported` already, a failure for example, is not emitted again.
async fn collect_once(context: &Context, reported: &mut Vec<PipelineEvent>) -> Result<collect::Collected> {
    let mut emit = async |event: PipelineEvent| {
        if !reported.contains(&event) {
            if matches!(event, PipelineEvent::LoadFailed { .. } | PipelineEvent::SourceEmpty { .. }) {
                reported.push(event.clone());
            }
            context.emit(event).await;
        }
    };
    let (sender, mut event) = tokio::sync::mpsc::unbounded_channel::<PipelineEvent>();
    let relay = move |event: &CollectEvent<'_>| {
        // The receiver is gone when the run has ended; then the event is not needed.
        let _ = sender.send(translate(event));
    };
    let ingest = &context.execution.ingest;
    let mut collecting = Box::pin(ingest.collect(&context.caller, &context.project, &context.submission, &relay));
    loop {
        tokio::select! {
            biased;
            Some(event) = event.recv() => emit(event).await,
            done = &mut collecting => {
                while let Ok(event) = event.try_recv() {
                    emit(event).await;
                }
                return done;
            }
        }
    }
}

fn translate(event: &CollectEvent<'_>) -> PipelineEvent {
    match event {
        CollectEvent::LoadStarted { dataset, files } => {
            PipelineEvent::LoadStarted { dataset: (*dataset).clone(), path: (*files).to_owned() }
        }
        CollectEvent::NoFiles { dataset, files } => {
            PipelineEvent::SourceEmpty { dataset: (*dataset).clone(), files: (*files).to_owned() }
        }
        CollectEvent::Failed { dataset, error } => PipelineEvent::LoadFailed {
            dataset: (*dataset).clone(),
            message: collect::describe_error(error),
            hint: error.hint().map(str::to_owned),
        },
        CollectEvent::LoadEnded { dataset, files, outcome } => {
            let (state, rows, load) = match outcome {
                LoadOutcome::Committed(_, load, _) => ("committed", load.passing, Some(load)),
                LoadOutcome::Held(load, _) => ("held", load.arrived, Some(load)),
                LoadOutcome::Unchanged(table) => ("unchanged", table.version.row_count, None),
            };
            PipelineEvent::LoadEnded {
                dataset: (*dataset).clone(),
                path: (*files).to_owned(),
                state: state.to_owned(),
                rows,
                set_aside: load.map_or(0, |load| load.set_aside),
                message: load.and_then(|load| load.message.clone()),
                findings: outcome.findings(),
            }
        }
    }
}

/// Reuses a step's outputs from the latest attempt with the same key, if all of them still exist;
/// else gives the key's parts, by which the step has to run.
async fn reuse(context: &Arc<Context>, step: &StepName) -> Result<Option<KeyParts>> {
    let parts = steps::key(context, step).await?;
    let Some((run, outputs)) = context.find_cached(&parts.key()).await? else { return Ok(Some(parts)) };
    if !steps::restore(context, step, &outputs).await? {
        return Ok(Some(parts));
    }
    let id = StepRunId::generate();
    let mut reused = steps::new_attempt(context, step, &parts, id, StepRunState::Cached);
    reused.reused_from = Some(run.id);
    context.reused.lock().unwrap_or_else(PoisonError::into_inner).push(reused);
    context.record_outputs(step, run.id, outputs);
    Ok(None)
}

async fn skip(context: &Arc<Context>, skipped: &[(String, String)]) -> Result<()> {
    for (name, failed) in skipped {
        let step: StepName = name.parse()?;
        let id = StepRunId::generate();
        let attempt = steps::new_attempt(context, &step, &KeyParts::new(), id, StepRunState::Pending);
        let message = format!("`{failed}` failed");
        let at_ms = context.caller.kernel.services.clock.wall_ms();
        let outcome = StepOutcome {
            exit: None,
            peak_memory_bytes: None,
            isolation: None,
            message: Some(message.clone()),
            log_digest: None,
        };
        context
            .caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    step_runs::insert(tx, &attempt).await?;
                    step_runs::apply(tx, id, StepRunEvent::Skip, &outcome, at_ms).await?;
                    Ok(())
                })
            })
            .await?;
        context
            .emit(PipelineEvent::StepEnded {
                step,
                state: "skipped".to_owned(),
                ms: 0,
                message: Some(message),
                hint: None,
            })
            .await;
    }
    Ok(())
}
