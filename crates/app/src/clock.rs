//! The project clock: acting on what came due, and stepping it.

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::calendar::{Duration, local};
use perennial_core::clock::Instant;
use perennial_core::name::DatasetName;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::endpoints::Endpoint;
use perennial_store::{datasets, endpoints, ledger, loads, projects};
use serde::Serialize;
use serde_json::json;

use crate::app::{App, Caller};
use crate::collect::{collect, in_words, is_the_files};
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
    /// Whether somebody should look: data that did not enter, an alert, a canary taken back, a failure.
    pub needs_look: bool,
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
        happened.extend(act(caller, project).await);
        if next <= stands && happened.len() == before {
            break;
        }
    }
    if project.stepped_ms() != Some(to_ms) {
        set(caller, project, to_ms).await?;
    }
    happened.extend(at_once(caller, project).await);
    if project.sources_moved(&caller.app).await? {
        happened.extend(act(caller, project).await);
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

/// Acts on what has come due at this moment: what a server does by itself, again and again. While a look
/// acts, the next ones judge canaries alone.
pub async fn tick(caller: &Caller, project: &Arc<ProjectState>) -> Result<Vec<Happened>> {
    caller.app.lease.require()?;
    let ticking = project.ticking.try_lock();
    // On a stepped clock all has its order.
    if ticking.is_err() && project.stepped_ms().is_some() {
        return Ok(Vec::new());
    }
    let mut happened = at_once(caller, project).await;
    if ticking.is_err() {
        return Ok(happened);
    }
    if project.drains(caller.app.services.clock.wall_ms(), DRAIN_EVERY_MS) {
        drain(caller, project).await;
    }
    if is_due(caller, project).await? {
        happened.extend(act(caller, project).await);
    }
    Ok(happened)
}

/// Whether something failed before, came due, or sources offer other files.
async fn is_due(caller: &Caller, project: &Arc<ProjectState>) -> Result<bool> {
    let now = caller.app.now(project);
    Ok(project.acts_again(now.wall_ms)
        || due(caller, project).await?.is_some_and(|due| due <= now.project_ms)
        || project.sources_moved(&caller.app).await?)
}

/// Brings the predictions of every endpoint into their datasets, whether anybody watches them or not.
async fn drain(caller: &Caller, project: &Arc<ProjectState>) {
    let mut look = Look::new(project);
    for endpoint in look.went_on("endpoints", list_endpoints(caller, project).await).into_iter().flatten() {
        look.went_on("predictions", predictions::take_over(caller, project, &endpoint.name).await);
    }
}

/// What need not come due: the rollback rule of a live canary is judged at every look.
async fn at_once(caller: &Caller, project: &Arc<ProjectState>) -> Vec<Happened> {
    let caller = Caller::system(caller.app.clone(), "clock");
    let told = canaries(&caller, project, &mut Look::new(project)).await;
    happened_now(&caller, project, told)
}

/// What happened at this moment, each with whether somebody should look.
fn happened_now(caller: &Caller, project: &ProjectState, told: Vec<(String, bool)>) -> Vec<Happened> {
    let project_ms = caller.app.now(project).project_ms;
    told.into_iter().map(|(message, needs_look)| Happened { project_ms, message, needs_look }).collect()
}

/// Judges every live canary, unless somebody does already. One that cannot be judged keeps no other from it.
async fn canaries(caller: &Caller, project: &Arc<ProjectState>, look: &mut Look<'_>) -> Vec<(String, bool)> {
    let Some(_turn) = project.turn(&project.judging).await else { return Vec::new() };
    let mut told = Vec::new();
    for endpoint in look.went_on("canaries", list_endpoints(caller, project).await).into_iter().flatten() {
        let judged = judge_canary(caller, project, &endpoint).await;
        told.extend(look.went_on("a canary", judged).flatten());
    }
    told
}

async fn list_endpoints(caller: &Caller, project: &ProjectState) -> Result<Vec<Endpoint>> {
    Ok(endpoints::list(&mut *caller.app.store().read().await?, project.id).await?)
}

/// One look at what came due, part by part.
struct Look<'a> {
    project: &'a ProjectState,
    /// Whether no part has failed.
    is_whole: bool,
}

impl<'a> Look<'a> {
    fn new(project: &'a ProjectState) -> Self {
        Self { project, is_whole: true }
    }

    /// What a part came to; a failure is logged and keeps no other part from its turn.
    fn went_on<T>(&mut self, part: &str, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.is_whole = false;
                tracing::warn!(project = %self.project.name, error = error.chain(), "{part} could not be looked at");
            })
            .ok()
    }

    /// The lines that a part tells, without what failed in it.
    fn lines(&mut self, part: &str, told: Vec<Result<String>>) -> Vec<String> {
        told.into_iter().filter_map(|line| self.went_on(part, line)).collect()
    }
}

/// Canaries, sources, windows, rhythms and triggers, until nothing more follows. What could not be done
/// is tried again soon, whatever comes due.
async fn act(caller: &Caller, project: &Arc<ProjectState>) -> Vec<Happened> {
    let Some(submission) = project.find_submission() else { return Vec::new() };
    let caller = &Caller::system(caller.app.clone(), "clock");
    let (mut happened, mut look) = (Vec::new(), Look::new(project));
    let began_ms = caller.app.now(project).project_ms;
    for round in 0..ROUNDS_MAX {
        let (mut told, mut alarming) = (canaries(caller, project, &mut look).await, Vec::new());
        let collected = collect(caller, project, &submission, &|_| {}).await;
        if let Some(collected) = look.went_on("sources", collected) {
            alarming.extend(collected.held.iter().filter_map(|(_, load)| load.message.clone()));
            // What fails now fails in every round: it is told once, and sets nothing off.
            let failed = collected.failed.iter().filter(|_| round == 0);
            let failed = failed.map(|(name, error)| format!("`{name}` could not be collected: {}", in_words(error)));
            happened.extend(happened_now(caller, project, failed.map(|line| (line, true)).collect()));
            // A file at fault is looked at when it is another one.
            look.is_whole &= collected.failed.iter().all(|(_, error)| is_the_files(error));
        }
        let judged = monitors::judge(caller, project, &submission).await;
        look.is_whole &= !judged.waits;
        alarming.extend(look.lines("monitors", judged.told));
        alarming.extend(look.went_on("rhythms", rhythms(caller, project, &submission).await).into_iter().flatten());
        let fired = look.lines("triggers", triggers::fire(caller, project, &submission).await);
        alerts::follow_data(&caller.app, project, &BTreeMap::new()).await;
        told.extend(alarming.into_iter().map(|line| (line, true)));
        told.extend(fired.into_iter().map(|line| (line, false)));
        if told.is_empty() {
            break;
        }
        happened.extend(happened_now(caller, project, told));
    }
    project.acted(began_ms, caller.app.services.clock.wall_ms(), look.is_whole);
    project.forget_due();
    happened
}

/// The next instant at which something comes due, kept until the ledger tells of a change.
async fn due(caller: &Caller, project: &Arc<ProjectState>) -> Result<Option<i64>> {
    let chain = perennial_core::ledger::Chain::Project(project.id);
    let sequence = ledger::head(&mut *caller.app.store().read().await?, chain).await?.sequence;
    if let Some(known) = project.known_due(sequence) {
        return Ok(known.at_ms);
    }
    let Some(submission) = project.find_submission() else { return Ok(None) };
    // What came due since the last act began was not acted on, even if it lies in the past by now.
    let from = project.due_from(caller.app.now(project).project_ms);
    let mut due =
        vec![monitors::next_due(caller, project, &submission, from).await?, triggers::next_due(&submission, from)];
    for endpoint in list_endpoints(caller, project).await? {
        // One whose time is over and that waits for requests is looked at every time anyway.
        due.push(canary_due(&caller.app, project, &endpoint).await.filter(|due| *due > from));
    }
    let rhythms = list_rhythms(&caller.app, project, &submission).await?;
    due.extend(rhythms.iter().map(|rhythm| Some(rhythm.late_ms).filter(|late| *late > from)));
    let next = due.into_iter().flatten().min();
    project.set_due(Due { sequence, at_ms: next });
    Ok(next)
}

/// A source with a rhythm.
struct Rhythm {
    dataset: DatasetName,
    every: Duration,
    /// When it last delivered, or from when on it could have, on the project clock.
    since_ms: i64,
    has_delivered: bool,
    /// The instant from which it is late.
    late_ms: i64,
}

async fn list_rhythms(app: &App, project: &ProjectState, submission: &Submission) -> Result<Vec<Rhythm>> {
    let mut found = Vec::new();
    let mut reader = app.store().read().await?;
    for (name, declared) in &submission.project.datasets {
        let Some(every) = declared.source.every.clone() else { continue };
        let Some(dataset) = datasets::find_by_name(&mut reader, project.id, name).await? else { continue };
        let last = loads::find_latest_arrival(&mut reader, dataset.id).await?;
        // A dataset is there from when its source was first looked at.
        let since_ms = last.as_ref().map_or_else(|| project.since_ms(dataset.created_ms), |load| load.project_ms);
        let late_ms = every.scaled_after(since_ms, LATE_AFTER, &submission.zone);
        found.push(Rhythm { dataset: name.clone(), every, since_ms, has_delivered: last.is_some(), late_ms });
    }
    Ok(found)
}

/// Alerts for sources whose rhythm is missed, once for each silence.
async fn rhythms(caller: &Caller, project: &ProjectState, submission: &Submission) -> Result<Vec<String>> {
    let now = caller.app.now(project).project_ms;
    let mut told = Vec::new();
    for Rhythm { dataset, every, since_ms, has_delivered, late_ms } in
        list_rhythms(&caller.app, project, submission).await?
    {
        if now < late_ms {
            continue;
        }
        let since = local(since_ms, &submission.zone);
        let silence = if has_delivered {
            format!("its last load came {since}")
        } else {
            format!("nothing has come since {since}")
        };
        let message = format!("dataset `{dataset}` is late: {silence}, expected every {every}");
        let facts = json!({ "last_ms": has_delivered.then_some(since_ms), "every": every.to_string() });
        let about = (format!("dataset:{dataset}"), "late", since_ms);
        let alert = alerts::new(caller, project, about, facts, message.clone());
        if alerts::fire(caller, alert, None).await? {
            told.push(message);
        }
    }
    Ok(told)
}
