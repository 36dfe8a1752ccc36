//! Pipeline runs: collect every source, bring every step up to date, end at a Decision.

mod cancel;
mod event;
mod execute;

use std::sync::Arc;

use crate::plan::{KeyParts, differences};
use perennial_core::blob::BlobDigest;
use perennial_core::id::PipelineRunId;
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_core::rule::did_you_mean;
use perennial_core::state::{Lifecycle, PipelineRunEvent, PipelineRunState, RunStatus, StepRunState};
use perennial_core::{Error, Result};
use perennial_store::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_store::runs::RunUpdate;
use perennial_store::{Tx, pipeline_runs, runs, step_runs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use perennial_kernel::ledger::LedgerEvent;
use perennial_kernel::{Caller, OrderedGuard, access, first_few, wrong_state};
use perennial_projects::uploads;
use perennial_projects::{ProjectState, Submission};
use perennial_tracking::Seal;

use crate::Execution;

pub(crate) use cancel::ActiveRuns;
use cancel::RunGuard;
pub use event::PipelineEvent;
pub use execute::{Context, Executed, MONITOR_CAUSE, Plan, RunOutcome, holding, told_of};

/// Steps that a message names, at most.
const STEPS_TOLD_MAX: usize = 20;

/// What a pipeline run is asked to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// Only these steps and what they wait for; all when empty.
    #[serde(default)]
    pub steps: Vec<StepName>,
}

/// Records a pipeline run as pending; [`Execution::activate`] begins it.
pub async fn request(
    caller: &Caller,
    project: &Arc<ProjectState>,
    kind: PipelineKind,
    cause: Value,
    options: &Options,
) -> Result<PipelineRun> {
    let run = pending(caller, project, kind, cause, options)?;
    let inserted = run.clone();
    caller
        .kernel
        .store()
        .write(move |tx| Box::pin(async move { Ok(pipeline_runs::insert(tx, &inserted).await?) }))
        .await?;
    Ok(run)
}

/// A pipeline run as it is asked for, not recorded yet.
pub fn pending(
    caller: &Caller,
    project: &ProjectState,
    kind: PipelineKind,
    cause: Value,
    options: &Options,
) -> Result<PipelineRun> {
    let permission = match kind {
        PipelineKind::Run => Permission::Write,
        PipelineKind::Release => Permission::Approve,
    };
    caller.require(permission, project.id)?;
    let submission = project.submission()?;
    asked_for(project, &submission, kind, cause, options)
}

/// The steps that there are, for somebody who named another.
fn among(unknown: &StepName, submission: &Submission) -> String {
    let known: Vec<&str> = submission.graph.steps().map(StepName::as_str).collect();
    if known.is_empty() {
        return "the project file has no steps".to_owned();
    }
    let all = || format!("the project file has {}", first_few(&known, STEPS_TOLD_MAX, ""));
    did_you_mean(unknown.as_str(), known.iter().copied()).unwrap_or_else(all)
}

fn asked_for(
    project: &ProjectState,
    submission: &Submission,
    kind: PipelineKind,
    cause: Value,
    options: &Options,
) -> Result<PipelineRun> {
    let is_known = |asked: &&StepName| submission.graph.steps().any(|step| step == *asked);
    if let Some(unknown) = options.steps.iter().find(|step| !is_known(step)) {
        return Err(Error::not_found("step", unknown).hint(among(unknown, submission)));
    }
    let at = project.now();
    Ok(PipelineRun {
        id: PipelineRunId::generate(),
        project_id: project.id,
        kind,
        state: PipelineRunState::Pending,
        cause,
        file_digest: submission.digest.clone(),
        options: json!(options),
        holder: None,
        message: None,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        started_ms: None,
        ended_ms: None,
    })
}

/// A pipeline run that is executed here. Until it is dropped no other of the project runs, and it can be cancelled.
pub struct ActiveRun {
    execution: Arc<Execution>,
    caller: Caller,
    project: Arc<ProjectState>,
    run: PipelineRun,
    resumes: bool,
    guard: RunGuard,
    _running: OrderedGuard,
}

/// What became of a run that waited for its turn.
pub enum Activation {
    /// It is active.
    Active(Box<ActiveRun>),
    /// It was cancelled before, and ended like this.
    Cancelled(RunOutcome),
}

impl Execution {
    /// Waits until the project runs no other pipeline; then the run is active. `resumes` says that a server before
    /// this one left it behind.
    pub async fn activate(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        run: &PipelineRun,
        resumes: bool,
    ) -> Result<Activation> {
        let guard = RunGuard::new(&self.active, run.id);
        let caller = Caller { cause: Some(format!("pipeline_run:{}", run.id)), ..caller.clone() };
        let running = self.running(project.id);
        let running = tokio::select! {
            biased;
            () = guard.cancellation.requested() => {
                let outcome = self.end_cancelled(&caller, run, &guard.cancellation).await?;
                return Ok(Activation::Cancelled(outcome));
            }
            running = running.lock() => running,
        };
        // Without the lease the run belongs to another server, which resumes it.
        caller.kernel.lease.require()?;
        let (execution, project, run) = (self.clone(), project.clone(), run.clone());
        let active = ActiveRun { execution, caller, project, run, resumes, guard, _running: running };
        Ok(Activation::Active(Box::new(active)))
    }
}

impl ActiveRun {
    /// Collects every source and brings every step up to date; `None` when the run was cancelled.
    pub async fn execute(&self) -> Result<Option<Executed>> {
        let submission = begin(&self.caller, &self.project, &self.run, self.resumes).await?;
        execute::execute(self, submission).await
    }

    /// Records how the run ended, from what followed from its result; `None` when it was cancelled.
    pub async fn end(self, result: Result<Option<RunOutcome>>) -> Result<RunOutcome> {
        match result.transpose() {
            None => self.execution.end_cancelled(&self.caller, &self.run, &self.guard.cancellation).await,
            Some(result) => self.execution.end(&self.caller, &self.run, result).await,
        }
    }
}

/// Marks a run as under way here; gives the project file it follows.
async fn begin(caller: &Caller, project: &ProjectState, run: &PipelineRun, was_left: bool) -> Result<Followed> {
    let submission = project.submission_of(&caller.kernel, &run.file_digest).await?;
    let is_current = project.find_submission().is_none_or(|now| now.digest == submission.digest);
    if was_left && run.kind == PipelineKind::Release && !is_current {
        return Err(wrong_state(
            "the project file changed since this release was interrupted: nothing of it goes live",
        )
        .hint("`perennial release` releases by the file as it is now"));
    }
    let (id, server, at) = (run.id, caller.kernel.server.to_string(), project.now());
    let event =
        if run.state == PipelineRunState::Interrupted { PipelineRunEvent::Resume } else { PipelineRunEvent::Start };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                pipeline_runs::set_holder(tx, id, Some(&server)).await?;
                pipeline_runs::apply(tx, id, event, None, at.wall_ms).await?;
                Ok(())
            })
        })
        .await?;
    Ok(submission)
}

impl Execution {
    /// What a run would do now by the project file last submitted, and why; nothing is run.
    pub async fn plan(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        let root = uploads::root(&self.kernel, project)?;
        self.plan_by(caller, project, project.submission()?, root.as_deref(), steps).await
    }

    /// What a run would do by an uploaded folder; what the project follows stays as it is.
    pub async fn plan_upload(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        folder: BlobDigest,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        let upload = uploads::open(caller, project, folder).await?;
        let planned = self.plan_by(caller, project, upload.submission.clone(), Some(&upload.path), steps).await;
        upload.close()?;
        planned
    }
}

/// Pipeline runs that a server left behind: what they were doing is marked, and they are to go on.
/// Before this server takes requests or acts, for then whatever is open is another's.
pub async fn recover(caller: &Caller) -> Result<Vec<PipelineRun>> {
    let open = pipeline_runs::list_open(&mut *caller.kernel.store().read().await?).await?;
    let mut left = Vec::new();
    for run in open.into_iter().filter(|run| run.holder.as_deref() != Some(&caller.kernel.server.to_string())) {
        let (id, state, at_ms) = (run.id, run.state, caller.kernel.services.clock.wall_ms());
        let seal = Seal::new(caller, run.project_id).await?;
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let owed = end_tracked(tx, id, &seal, at_ms).await?;
                    step_runs::interrupt_running(tx, id, at_ms).await?;
                    if state == PipelineRunState::Running {
                        pipeline_runs::apply(tx, id, PipelineRunEvent::Interrupt, Some("the server stopped"), at_ms)
                            .await?;
                    }
                    for change in owed {
                        seal.record(tx, change).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        left.push(pipeline_runs::get(&mut *caller.kernel.store().read().await?, id).await?);
    }
    access::revoke_step_tokens(caller).await?;
    Ok(left)
}

/// The tracked runs of attempts that were cut off were killed with their server, and their tokens are
/// void; gives the entries that are owed for it.
async fn end_tracked(tx: &mut Tx, id: PipelineRunId, seal: &Seal, at_ms: i64) -> Result<Vec<LedgerEvent>> {
    let mut owed = Vec::new();
    for attempt in step_runs::list(tx, id).await? {
        let Some(run) = attempt.run_id.filter(|_| attempt.state == StepRunState::Running) else { continue };
        owed.extend(access::revoke_run_tokens(tx, run, at_ms).await?);
        let kept = runs::get(tx, run).await?;
        if kept.lifecycle == Lifecycle::Active && !kept.status.is_terminal() {
            let killed = RunUpdate { status: Some(RunStatus::Killed), end_ms: Some(at_ms), name: None };
            runs::update(tx, run, &killed).await?;
            owed.push(seal.close(tx, run, "end").await?);
        }
    }
    Ok(owed)
}

/// What a step would do now, and what changed since it last ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepPlan {
    /// The step.
    pub step: StepName,
    /// Whether its outputs are there already.
    pub is_cached: bool,
    /// What is known of the reasons: differences to the newest good run, or that there was none.
    pub reasons: Vec<String>,
}

/// Compares a key with the newest good attempt of a step.
pub(crate) async fn why(
    caller: &Caller,
    project: &ProjectState,
    step: &StepName,
    parts: &KeyParts,
    is_cached: bool,
) -> Result<StepPlan> {
    let newest = step_runs::list_of_step(&mut *caller.kernel.store().read().await?, project.id, step, None, 50).await?;
    let before = newest.items.iter().find(|run| matches!(run.state, StepRunState::Succeeded | StepRunState::Cached));
    let reasons = match before.map(|run| serde_json::from_value::<KeyParts>(run.key_parts.clone())) {
        _ if is_cached => vec!["nothing it depends on has changed".to_owned()],
        Some(Ok(old)) => differences(&old, parts).iter().map(ToString::to_string).collect(),
        _ => vec!["it has not run before".to_owned()],
    };
    Ok(StepPlan { step: step.clone(), is_cached, reasons })
}

/// The project file a run follows.
pub(crate) type Followed = Arc<Submission>;
