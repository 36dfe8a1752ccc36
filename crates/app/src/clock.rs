//! The project clock: acting on what came due, and stepping it.

use std::sync::Arc;

use perennial_core::clock::Instant;
use perennial_core::id::AlertId;
use perennial_core::permission::Permission;
use perennial_core::state::AlertState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::alerts::Alert;
use perennial_store::{endpoints, ledger, loads, projects};
use serde::Serialize;
use serde_json::json;

use crate::app::{App, Caller};
use crate::collect::collect;
use crate::endpoints::{canary_due, judge_canary};
use crate::project::{Due, ProjectState, Submission};
use crate::{alerts, monitors, predictions, triggers};

/// A source is late after this many times its rhythm.
const LATE_AFTER: f64 = 1.1;
/// How often predictions are brought into their datasets, at least, on the wall clock.
const DRAIN_EVERY_MS: i64 = 15 * 60_000;
/// Rounds of acting on one instant; each can set off the next.
const ROUNDS_MAX: usize = 16;

/// Something that happened by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// When, on the project clock.
    pub project_ms: i64,
    /// What, in one line.
    pub message: String,
}

/// Both clocks of a project, and whether its own is stepped.
pub fn now(caller: &Caller, project: &ProjectState) -> Result<(Instant, bool)> {
    caller.require(Permission::Read, project)?;
    Ok((caller.app.now(project), project.stepped_ms().is_some()))
}

/// Moves a stepped clock forward to `to_ms`. Whatever comes due on the way is done at its own
/// instant; this returns when all of it, and all that it started, is done.
pub async fn advance(caller: &Caller, project: &Arc<ProjectState>, to_ms: i64) -> Result<Vec<Happened>> {
    caller.require(Permission::Manage, project)?;
    if !caller.app.services.may_step_clock {
        return Err(Error::new(ErrorCode::WrongState, "a team's server does not step project clocks")
            .hint("step the clock of a project of your own: `perennial demo` does"));
    }
    let _ticking = project.ticking.lock().await;
    let from = project.stepped_ms();
    if from.is_some_and(|from| to_ms < from) {
        return Err(Error::new(ErrorCode::InvalidArgument, "a project clock only moves forward")
            .hint("records that were made would lie in its future"));
    }
    let mut happened = Vec::new();
    if from.is_none() {
        set(caller, project, to_ms).await?;
    }
    loop {
        let next = due(caller, project).await?.filter(|due| *due <= to_ms);
        let Some(next) = next else { break };
        let stands = project.stepped_ms().unwrap_or(to_ms);
        set(caller, project, next.max(stands)).await?;
        let before = happened.len();
        happened.extend(act(caller, project).await?);
        project.forget_due();
        if next <= stands && happened.len() == before {
            break;
        }
    }
    if project.stepped_ms() != Some(to_ms) {
        set(caller, project, to_ms).await?;
    }
    happened.extend(at_once(caller, project).await?);
    if project.sources_moved(&caller.app).await? {
        happened.extend(act(caller, project).await?);
        project.forget_due();
    }
    Ok(happened)
}

async fn set(caller: &Caller, project: &ProjectState, ms: i64) -> Result<()> {
    let id = project.id;
    caller
        .app
        .store()
        .write(move |tx| Box::pin(async move { Ok(projects::set_clock(tx, id, Some(ms)).await?) }))
        .await?;
    project.set_clock(ms);
    Ok(())
}

/// Acts on what has come due at this moment: what a server does by itself, again and again.
pub async fn tick(caller: &Caller, project: &Arc<ProjectState>) -> Result<Vec<Happened>> {
    caller.app.lease.require()?;
    let Ok(_ticking) = project.ticking.try_lock() else { return Ok(Vec::new()) };
    let mut happened = at_once(caller, project).await?;
    if project.drains(caller.app.services.clock.wall_ms(), DRAIN_EVERY_MS) {
        went_on(project, "predictions", drain(caller, project).await);
    }
    let now = caller.app.now(project).project_ms;
    if due(caller, project).await?.is_none_or(|due| due > now) && !project.sources_moved(&caller.app).await? {
        return Ok(happened);
    }
    happened.extend(act(caller, project).await?);
    project.forget_due();
    Ok(happened)
}

/// Brings the predictions of every endpoint into their datasets, whether anybody watches them or not.
async fn drain(caller: &Caller, project: &Arc<ProjectState>) -> Result<()> {
    for endpoint in endpoints::list(&mut *caller.app.store().read().await?, project.id).await? {
        predictions::take_over(caller, project, &endpoint.name).await?;
    }
    Ok(())
}

/// What need not come due: the rollback rule of a live canary is judged at every look.
async fn at_once(caller: &Caller, project: &Arc<ProjectState>) -> Result<Vec<Happened>> {
    let Some(submission) = project.find_submission() else { return Ok(Vec::new()) };
    let told = canaries(&Caller::system(caller.app.clone(), "clock"), project, &submission).await?;
    Ok(happened_now(caller, project, told))
}

fn happened_now(caller: &Caller, project: &ProjectState, told: Vec<String>) -> Vec<Happened> {
    let project_ms = caller.app.now(project).project_ms;
    told.into_iter().map(|message| Happened { project_ms, message }).collect()
}

/// Judges every live canary. One that cannot be judged does not keep the others waiting.
async fn canaries(caller: &Caller, project: &Arc<ProjectState>, submission: &Submission) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for endpoint in endpoints::list(&mut *caller.app.store().read().await?, project.id).await? {
        let judged = judge_canary(caller, project, submission, &endpoint).await;
        told.extend(went_on(project, "a canary", judged).flatten());
    }
    Ok(told)
}

/// What one part of acting came to; a failure is logged, is tried again at the next look, and
/// keeps no other part from its turn.
fn went_on<T>(project: &ProjectState, part: &str, result: Result<T>) -> Option<T> {
    result
        .inspect_err(
            |error| tracing::warn!(project = %project.name, error = error.chain(), "{part} could not be looked at"),
        )
        .ok()
}

/// Canaries, sources, windows, rhythms and triggers, until nothing more follows.
async fn act(caller: &Caller, project: &Arc<ProjectState>) -> Result<Vec<Happened>> {
    let Some(submission) = project.find_submission() else { return Ok(Vec::new()) };
    let caller = &Caller::system(caller.app.clone(), "clock");
    let mut happened = Vec::new();
    for round in 0..ROUNDS_MAX {
        let mut told = canaries(caller, project, &submission).await?;
        let collected = collect(caller, project, &submission, &|_| {}).await?;
        told.extend(collected.held.iter().filter_map(|(_, load)| load.message.clone()));
        // What fails now fails in every round: it is told once, and sets nothing off.
        let failed = collected.failed.iter().filter(|_| round == 0);
        let failed = failed.map(|(name, error)| format!("`{name}` could not be collected: {}", error.message()));
        happened.extend(happened_now(caller, project, failed.collect()));
        let watched = monitors::judge(caller, project, &submission).await;
        told.extend(went_on(project, "monitors", watched).into_iter().flatten());
        told.extend(rhythms(caller, project, &submission).await?);
        let fired = triggers::fire(caller, project, &submission).await;
        told.extend(went_on(project, "triggers", fired).into_iter().flatten());
        went_on(project, "alerts", alerts::resolve_gone(caller, project).await);
        if told.is_empty() {
            break;
        }
        happened.extend(happened_now(caller, project, told));
    }
    Ok(happened)
}

/// The next instant at which something comes due, kept until the ledger tells of a change.
async fn due(caller: &Caller, project: &Arc<ProjectState>) -> Result<Option<i64>> {
    let chain = perennial_core::ledger::Chain::Project(project.id);
    let sequence = ledger::head(&mut *caller.app.store().read().await?, chain).await?.sequence;
    if let Some(known) = project.known_due(sequence) {
        return Ok(known.at_ms);
    }
    let Some(submission) = project.find_submission() else { return Ok(None) };
    let now = caller.app.now(project).project_ms;
    let mut due =
        vec![monitors::next_due(caller, project, &submission).await?, triggers::next_due(caller, project, &submission)];
    for endpoint in endpoints::list(&mut *caller.app.store().read().await?, project.id).await? {
        // One whose time is over and that waits for requests is looked at every time anyway.
        due.push(canary_due(&submission, &endpoint).filter(|due| *due > now));
    }
    for (_, late_at) in late_times(&caller.app, project, &submission).await? {
        due.push(Some(late_at).filter(|late_at| *late_at > now));
    }
    let next = due.into_iter().flatten().min();
    project.set_due(Due { sequence, at_ms: next });
    Ok(next)
}

/// For each source with a rhythm that has delivered: (last arrival, the instant after which it is late).
async fn late_times(
    app: &App,
    project: &ProjectState,
    submission: &Submission,
) -> Result<Vec<((perennial_core::name::DatasetName, i64), i64)>> {
    let mut times = Vec::new();
    let mut reader = app.store().read().await?;
    for (name, declared) in &submission.project.datasets {
        let Some(every) = &declared.source.every else { continue };
        let Some(dataset) = perennial_store::datasets::find_by_name(&mut reader, project.id, name).await? else {
            continue;
        };
        if let Some(load) = loads::find_latest_arrival(&mut reader, dataset.id).await? {
            times.push((
                (name.clone(), load.project_ms),
                every.scaled_after(load.project_ms, LATE_AFTER, &submission.zone),
            ));
        }
    }
    Ok(times)
}

/// Alerts for sources whose rhythm is missed, once for each silence.
async fn rhythms(caller: &Caller, project: &ProjectState, submission: &Submission) -> Result<Vec<String>> {
    let at = caller.app.now(project);
    let mut told = Vec::new();
    for ((name, last), late_at) in late_times(&caller.app, project, submission).await? {
        if at.project_ms <= late_at {
            continue;
        }
        let every = submission.project.datasets.get(&name).and_then(|declared| declared.source.every.clone());
        let every = every.map_or_else(String::new, |every| every.to_string());
        let message = format!(
            "dataset `{name}` is late: its last load came {}, expected every {every}",
            perennial_core::calendar::local(last, &submission.zone)
        );
        let alert = Alert {
            id: AlertId::generate(),
            project_id: project.id,
            subject: format!("dataset:{name}"),
            name: "late".to_owned(),
            window_start_ms: last,
            number: None,
            expression: None,
            facts: json!({ "last_ms": last, "every": every }),
            message: message.clone(),
            state: AlertState::Firing,
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
            settled_ms: None,
        };
        if monitors::fire(caller, alert, None).await? {
            told.push(message);
        }
    }
    Ok(told)
}
