//! The scheduler: runs what is due on the project clock, and steps the clock.

use std::sync::Arc;

use crate::watch::{Due, Watch};
use crate::{freshness, triggers};
use perennial_core::clock::Instant;
use perennial_core::entity::Endpoint;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::collect::{describe_error, is_file_error};
use perennial_ingest::source_alerts;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::{endpoints, ledger, projects};

/// Rounds of running what is due at one instant; each can make more due.
const ROUNDS_MAX: usize = 16;

/// An action of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerEvent {
    /// When, on the project clock.
    pub project_ms: i64,
    /// The event, in one line.
    pub message: String,
    /// Whether it needs the attention of a person: a held load, an alert, a rolled-back canary, a failure.
    pub needs_attention: bool,
}

/// A message, and whether it needs the attention of a person.
type Line = (String, bool);

impl Watch {
    /// Both clocks of a project, and whether its own is stepped.
    pub fn now(&self, caller: &Caller, project: &ProjectState) -> Result<(Instant, bool)> {
        caller.require(Permission::Read, project.id)?;
        Ok((project.now(), project.clock.stepped_ms().is_some()))
    }

    /// Moves a stepped clock forward to `to_ms`. What is due before runs at its own instant. Returns when all of it, and all
    /// that it started, has finished.
    pub async fn advance(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        to_ms: i64,
    ) -> Result<Vec<SchedulerEvent>> {
        caller.require(Permission::Manage, project.id)?;
        if !self.kernel.services.may_step_clock {
            return Err(Error::new(ErrorCode::WrongState, "a team server does not step project clocks")
                .with_hint("step the clock of a project of your own: `perennial demo` does"));
        }
        let _ticking = self.state(project.id).ticking.lock().await;
        let from = project.clock.stepped_ms();
        if from.is_some_and(|from| to_ms < from) {
            return Err(Error::new(ErrorCode::InvalidArgument, "a project clock only moves forward")
                .with_hint("existing records would be later than the clock"));
        }
        let mut events = Vec::new();
        if from.is_none() {
            self.step_clock(project, to_ms).await?;
        }
        loop {
            let next = self.next_due(caller, project).await?.filter(|due| *due <= to_ms);
            let Some(next) = next else { break };
            let present = project.clock.stepped_ms().unwrap_or(to_ms);
            self.step_clock(project, next.max(present)).await?;
            let before = events.len();
            events.extend(self.run_due(project).await);
            if next <= present && events.len() == before {
                break;
            }
        }
        if project.clock.stepped_ms() != Some(to_ms) {
            self.step_clock(project, to_ms).await?;
        }
        events.extend(self.evaluate_canaries_now(project).await);
        if self.ingest.sources_changed(project).await? {
            events.extend(self.run_due(project).await);
        }
        Ok(events)
    }

    async fn step_clock(&self, project: &ProjectState, ms: i64) -> Result<()> {
        let id = project.id;
        self.kernel
            .store()
            .write(move |tx| Box::pin(async move { Ok(projects::set_clock(tx, id, Some(ms)).await?) }))
            .await?;
        project.clock.step_to(ms);
        Ok(())
    }

    /// Runs what is due now; a server calls this repeatedly. While one tick runs, others evaluate canaries and load
    /// predictions only.
    pub async fn tick(self: &Arc<Self>, caller: &Caller, project: &Arc<ProjectState>) -> Result<Vec<SchedulerEvent>> {
        self.kernel.lease.require()?;
        let state = self.state(project.id);
        let ticking = state.ticking.try_lock();
        // On a stepped clock everything runs in order.
        if ticking.is_none() && project.clock.stepped_ms().is_some() {
            return Ok(Vec::new());
        }
        let mut events = self.evaluate_canaries_now(project).await;
        self.load_predictions(caller, project).await;
        if ticking.is_none() {
            return Ok(events);
        }
        if self.is_due(caller, project).await? {
            events.extend(self.run_due(project).await);
        }
        Ok(events)
    }

    /// Whether a retry or something else is due, or the listing of a source has changed.
    async fn is_due(&self, caller: &Caller, project: &Arc<ProjectState>) -> Result<bool> {
        let now = project.now();
        Ok(self.state(project.id).start_retry(now.wall_ms)
            || self.next_due(caller, project).await?.is_some_and(|due| due <= now.project_ms)
            || self.ingest.sources_changed(project).await?)
    }

    /// Evaluates the rollback rules of canaries, which apply at every tick and not only when something is due.
    async fn evaluate_canaries_now(self: &Arc<Self>, project: &Arc<ProjectState>) -> Vec<SchedulerEvent> {
        let caller = Caller::system(self.kernel.clone(), "clock");
        let lines = self.evaluate_canaries(&caller, project, &mut TickReport::new(project)).await;
        events_now(project, lines)
    }

    /// Swaps in recorded changes of endpoints that are behind, and evaluates every active canary, unless an evaluation is
    /// running. An error in one affects no other.
    async fn evaluate_canaries(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        report: &mut TickReport<'_>,
    ) -> Vec<Line> {
        let waits = project.clock.stepped_ms().is_some();
        let Some(_evaluating) = self.endpoints.evaluating(project.id).lock_or_try(waits).await else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let endpoints = report.part("canaries", self.list_endpoints(project).await).unwrap_or_default();
        self.endpoints.catch_up(project, &endpoints).await;
        for endpoint in endpoints {
            let evaluated = self.endpoints.evaluate_canary(caller, project, &endpoint).await;
            lines.extend(report.part("a canary", evaluated).flatten());
        }
        lines
    }

    pub(crate) async fn list_endpoints(&self, project: &ProjectState) -> Result<Vec<Endpoint>> {
        Ok(endpoints::list(&mut *self.kernel.store().read().await?, project.id).await?)
    }

    /// Runs canaries, sources, windows, freshness checks and triggers, until nothing more is due. Failed parts are
    /// retried.
    async fn run_due(self: &Arc<Self>, project: &Arc<ProjectState>) -> Vec<SchedulerEvent> {
        let Some(submission) = project.find_submission() else { return Vec::new() };
        let caller = &Caller::system(self.kernel.clone(), "clock");
        let (mut events, mut report) = (Vec::new(), TickReport::new(project));
        let began_ms = project.now().project_ms;
        for round in 0..ROUNDS_MAX {
            let (mut lines, mut alarming) = (self.evaluate_canaries(caller, project, &mut report).await, Vec::new());
            let collected = self.ingest.collect(caller, project, &submission, &|_| {}).await;
            if let Some(collected) = report.part("sources", collected) {
                alarming.extend(collected.held.iter().filter_map(|(_, load)| load.message.clone()));
                // A failure repeats in every round: it is reported once, and does not cause another round.
                let failed = collected.failed.iter().filter(|_| round == 0);
                let failed =
                    failed.map(|(name, error)| format!("`{name}` could not be collected: {}", describe_error(error)));
                events.extend(events_now(project, failed.map(|line| (line, true)).collect()));
                // A faulty file is read again when it changes, not by a retry.
                report.is_complete &= collected.failed.iter().all(|(_, error)| is_file_error(error));
            }
            let evaluated = self.evaluate_monitors(caller, project, &submission).await;
            report.is_complete &= !evaluated.waits_for_data;
            alarming.extend(report.lines("monitors", evaluated.messages));
            let late = freshness::alert_late_sources(caller, project, &submission).await;
            alarming.extend(report.part("freshness of sources", late).into_iter().flatten());
            let fired = report.lines("triggers", self.fire_triggers(caller, project, &submission).await);
            source_alerts::refresh(&self.kernel, project).await;
            lines.extend(alarming.into_iter().map(|line| (line, true)));
            lines.extend(fired.into_iter().map(|line| (line, false)));
            if lines.is_empty() {
                break;
            }
            events.extend(events_now(project, lines));
        }
        let state = self.state(project.id);
        state.ran(began_ms, self.kernel.services.clock.wall_ms(), report.is_complete);
        state.forget_due();
        events
    }

    /// The next instant at which something is due, cached until the project changes.
    async fn next_due(&self, caller: &Caller, project: &Arc<ProjectState>) -> Result<Option<i64>> {
        let state = self.state(project.id);
        let revision = project.revision();
        let chain = Chain::Project(project.id);
        let sequence = ledger::head(&mut *self.kernel.store().read().await?, chain).await?.sequence;
        if let Some(known) = state.known_due(sequence, revision) {
            return Ok(known.at_ms);
        }
        let Some(submission) = project.find_submission() else { return Ok(None) };
        // What became due since the last run began has not run yet, even if it is in the past now.
        let from = state.due_from(project.now().project_ms);
        let mut due = vec![
            self.next_window_due(caller, project, &submission, from).await?,
            triggers::next_due(&submission, from),
        ];
        for endpoint in self.list_endpoints(project).await? {
            // A canary that only waits for requests is evaluated at every tick.
            due.push(self.endpoints.canary_due(project, &endpoint).await.filter(|due| *due > from));
        }
        let intervals = freshness::list(&self.kernel, project, &submission).await?;
        due.extend(intervals.iter().map(|interval| Some(interval.late_ms).filter(|late| *late > from)));
        let next = due.into_iter().flatten().min();
        state.set_due(Due { sequence, revision, at_ms: next });
        Ok(next)
    }
}

/// Lines as events of this moment.
fn events_now(project: &ProjectState, lines: Vec<Line>) -> Vec<SchedulerEvent> {
    let project_ms = project.now().project_ms;
    lines
        .into_iter()
        .map(|(message, needs_attention)| SchedulerEvent { project_ms, message, needs_attention })
        .collect()
}

/// Collects the results of the parts of one tick.
struct TickReport<'a> {
    project: &'a ProjectState,
    /// Whether every part succeeded.
    is_complete: bool,
}

impl<'a> TickReport<'a> {
    fn new(project: &'a ProjectState) -> Self {
        Self { project, is_complete: true }
    }

    /// The result of a part. A failure is logged and does not affect the other parts.
    fn part<T>(&mut self, part: &str, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.is_complete = false;
                tracing::warn!(project = %self.project.name, error = error.chain(), "{part} could not be processed");
            })
            .ok()
    }

    /// The lines of a part, without those that failed.
    fn lines(&mut self, part: &str, lines: Vec<Result<String>>) -> Vec<String> {
        lines.into_iter().filter_map(|line| self.part(part, line)).collect()
    }
}
