//! Pipeline runs: collect every source, bring every step up to date, end at a Decision.

mod cancel;
mod execute;
mod told;

use std::sync::Arc;

use perennial_core::id::PipelineRunId;
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_core::rule::did_you_mean;
use perennial_core::state::{Lifecycle, PipelineRunEvent, PipelineRunState, RunStatus, StepRunState};
use perennial_core::{Error, Result};
use perennial_pipelines::{KeyParts, differences};
use perennial_store::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_store::runs::RunUpdate;
use perennial_store::{Tx, pipeline_runs, runs, step_runs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access;
use crate::app::{Caller, first_few, wrong_state};
use crate::ledger::Change;
use crate::project::{ProjectState, Submission};
use crate::sent;
use crate::tracking::Seal;

pub(crate) use cancel::Carried;
pub use cancel::cancel;
use cancel::{Stop, Turn};
pub(crate) use execute::plan_by;
pub use execute::{Context, Finished, Plan};
pub use told::Told;

/// Steps that a message names, at most.
const STEPS_TOLD_MAX: usize = 20;

/// What a pipeline run is asked to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// Only these steps and what they wait for; all when empty.
    #[serde(default)]
    pub steps: Vec<StepName>,
}

/// Records a pipeline run as pending; [`carry_out`] runs it.
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
        .app
        .store()
        .write(move |tx| Box::pin(async move { Ok(pipeline_runs::insert(tx, &inserted).await?) }))
        .await?;
    Ok(run)
}

/// A pipeline run as it is asked for, not recorded yet.
pub(crate) fn pending(
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
    caller.require(permission, project)?;
    let submission = project.submission()?;
    asked_for(caller, project, &submission, kind, cause, options)
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
    caller: &Caller,
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
    let at = caller.app.now(project);
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

/// Runs a recorded pipeline run to its end, or until somebody cancels it. One at a time a project; another waits its
/// turn.
pub async fn carry_out(caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun) -> Result<Finished> {
    carry(caller, project, run, false).await
}

/// Goes on with a pipeline run that a server before this one left behind. Of a release nothing goes live by a project
/// file that is another by now.
pub async fn go_on(caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun) -> Result<Finished> {
    carry(caller, project, run, true).await
}

async fn carry(caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun, was_left: bool) -> Result<Finished> {
    let turn = Turn::begin(caller, run.id);
    let caller = Caller { cause: Some(format!("pipeline_run:{}", run.id)), ..caller.clone() };
    let _running = tokio::select! {
        biased;
        () = turn.stop.wanted() => return cancel::ended(&caller, run, &turn.stop).await,
        running = project.running.lock() => running,
    };
    // Without the lease it is another server's, which goes on with it.
    caller.app.lease.require()?;
    let result = match begin(&caller, project, run, was_left).await {
        Ok(submission) => execute::execute(&caller, project, submission, run, turn.stop.clone()).await,
        Err(error) => Err(error),
    };
    match result.transpose() {
        None => cancel::ended(&caller, run, &turn.stop).await,
        Some(result) => execute::end(&caller, run, result).await,
    }
}

/// Marks a run as under way here; gives the project file it follows.
async fn begin(caller: &Caller, project: &ProjectState, run: &PipelineRun, was_left: bool) -> Result<Followed> {
    let submission = project.submission_of(&caller.app, &run.file_digest).await?;
    let is_current = project.find_submission().is_none_or(|now| now.digest == submission.digest);
    if was_left && run.kind == PipelineKind::Release && !is_current {
        return Err(wrong_state(
            "the project file changed since this release was interrupted: nothing of it goes live",
        )
        .hint("`perennial release` releases by the file as it is now"));
    }
    let (id, server, at) = (run.id, caller.app.server.to_string(), caller.app.now(project));
    let event =
        if run.state == PipelineRunState::Interrupted { PipelineRunEvent::Resume } else { PipelineRunEvent::Start };
    caller
        .app
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

/// What a run would do now by the project file last submitted, and why; nothing is run.
pub async fn plan(caller: &Caller, project: &Arc<ProjectState>, steps: Vec<StepName>) -> Result<Plan> {
    let root = sent::root(&caller.app, project)?;
    plan_by(caller, project, project.submission()?, root.as_deref(), steps).await
}

/// Pipeline runs that a server left behind: what they were doing is marked, and they are to go on.
/// Before this server takes requests or acts, for then whatever is open is another's.
pub async fn recover(caller: &Caller) -> Result<Vec<PipelineRun>> {
    let open = pipeline_runs::list_open(&mut *caller.app.store().read().await?).await?;
    let mut left = Vec::new();
    for run in open.into_iter().filter(|run| run.holder.as_deref() != Some(&caller.app.server.to_string())) {
        let (id, state, at_ms) = (run.id, run.state, caller.app.services.clock.wall_ms());
        let seal = Seal::new(caller, run.project_id).await?;
        caller
            .app
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
        left.push(pipeline_runs::get(&mut *caller.app.store().read().await?, id).await?);
    }
    access::void_of_steps(caller).await?;
    Ok(left)
}

/// The tracked runs of attempts that were cut off were killed with their server, and their tokens are
/// void; gives the entries that are owed for it.
async fn end_tracked(tx: &mut Tx, id: PipelineRunId, seal: &Seal, at_ms: i64) -> Result<Vec<Change>> {
    let mut owed = Vec::new();
    for attempt in step_runs::list(tx, id).await? {
        let Some(run) = attempt.run_id.filter(|_| attempt.state == StepRunState::Running) else { continue };
        owed.extend(access::void_of_run(tx, run, at_ms).await?);
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
pub struct Why {
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
) -> Result<Why> {
    let newest = step_runs::list_of_step(&mut *caller.app.store().read().await?, project.id, step, None, 50).await?;
    let before = newest.items.iter().find(|run| matches!(run.state, StepRunState::Succeeded | StepRunState::Cached));
    let reasons = match before.map(|run| serde_json::from_value::<KeyParts>(run.key_parts.clone())) {
        _ if is_cached => vec!["nothing it depends on has changed".to_owned()],
        Some(Ok(old)) => differences(&old, parts).iter().map(ToString::to_string).collect(),
        _ => vec!["it has not run before".to_owned()],
    };
    Ok(Why { step: step.clone(), is_cached, reasons })
}

/// The project file a run follows.
pub(crate) type Followed = Arc<Submission>;
