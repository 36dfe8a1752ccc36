//! Triggers: an alert, new data or a schedule starts a pipeline run, once for each cause.

use std::sync::Arc;

use perennial_config::{Event, Start, Trigger};
use perennial_core::cause::{Cause, TriggerEvent};
use perennial_core::entity::{AlertSubject, PipelineKind, PipelineRun, TriggerFiring};
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::name::TriggerName;
use perennial_core::state::AlertState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{alerts, dataset_versions, datasets, lineage, pipeline_runs, trigger_firings};

use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_kernel::alerts::{OPEN_MAX, node};
use perennial_kernel::{Caller, LedgerEvent, Recorder};

use crate::Watch;
use perennial_projects::{ProjectState, Submission};

/// The next instant after `from` at which a schedule is due.
pub(crate) fn next_due(submission: &Submission, from: i64) -> Option<i64> {
    let schedules =
        submission.project.triggers.values().flat_map(|trigger| &trigger.on).filter_map(|event| match event {
            Event::Schedule(schedule) => schedule.next_after(from, &submission.zone),
            _ => None,
        });
    schedules.min()
}

impl Watch {
    /// Fires the triggers whose cause is new. Returns a message for each pipeline run. An error in one trigger affects no
    /// other.
    pub(crate) async fn fire_triggers(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: &Submission,
    ) -> Vec<Result<String>> {
        let mut messages = Vec::new();
        for (name, trigger) in &submission.project.triggers {
            // A schedule counts from the last firing of its trigger: all occurrences are found before one of them fires.
            let mut found = Vec::new();
            for event in &trigger.on {
                match occurrences(caller, project, submission, name, event).await {
                    Ok(occurrences) => found.extend(occurrences.into_iter().map(|occurrence| (event, occurrence))),
                    Err(error) => messages.push(Err(error)),
                }
            }
            for (event, occurrence) in found {
                let fired = self.fire_trigger(caller, project, (name, trigger), event, occurrence).await;
                messages.extend(fired.transpose());
            }
        }
        messages
    }
}

/// The current occurrences of an event; each fires the trigger once.
async fn occurrences(
    caller: &Caller,
    project: &ProjectState,
    submission: &Submission,
    name: &TriggerName,
    event: &Event,
) -> Result<Vec<TriggerEvent>> {
    let mut reader = caller.kernel.store().read().await?;
    match event {
        Event::Alert { monitor, alert } => {
            let subject = AlertSubject::Monitor(monitor.clone());
            let open = alerts::list_open_about(&mut reader, project.id, (&subject, alert), OPEN_MAX).await?;
            let firing = open.into_iter().filter(|alert| alert.state == AlertState::Firing);
            Ok(firing.map(|alert| TriggerEvent::Alert { alert: alert.id, message: alert.message }).collect())
        }
        Event::Dataset(dataset) => {
            let Some(dataset) = datasets::find_by_name(&mut reader, project.id, dataset).await? else {
                return Ok(Vec::new());
            };
            let latest = dataset_versions::find_latest(&mut reader, dataset.id).await?;
            Ok(latest
                .map(|version| TriggerEvent::Dataset { dataset: dataset.name, number: version.number })
                .into_iter()
                .collect())
        }
        Event::Schedule(schedule) => {
            let now = project.now().project_ms;
            let last = trigger_firings::find_latest(&mut reader, project.id, name).await?;
            let since = last.map_or_else(|| project.clock.opened_ms(now), |firing| firing.project_ms);
            // However many times were missed, they fire it once.
            let due = schedule.last_until(now, &submission.zone).filter(|due| *due > since);
            Ok(due
                .map(|due_ms| TriggerEvent::Schedule { schedule: schedule.as_str().to_owned(), due_ms })
                .into_iter()
                .collect())
        }
    }
}

impl Watch {
    async fn fire_trigger(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        (name, trigger): (&TriggerName, &Trigger),
        event: &Event,
        because: TriggerEvent,
    ) -> Result<Option<String>> {
        let at = project.now();
        let firing = TriggerFiring {
            project_id: project.id,
            trigger_name: name.clone(),
            cause_id: because.id(),
            pipeline_run_id: None,
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let mut reader = caller.kernel.store().read().await?;
        if trigger_firings::exists(&mut reader, project.id, name, &firing.cause_id).await? {
            return Ok(None);
        }
        drop(reader);
        let kind = match trigger.run {
            Start::Run => PipelineKind::Run,
            Start::Release => PipelineKind::Release,
        };
        let alert = match &because {
            TriggerEvent::Alert { alert, .. } => Some(*alert),
            TriggerEvent::Dataset { .. } | TriggerEvent::Schedule { .. } => None,
        };
        let cause = Cause::Trigger { trigger: name.clone(), event: event.to_string(), because };
        let run = pipelines::pending(caller, project, kind, cause.clone(), &PipelineOptions::default())?;
        let firing = TriggerFiring { pipeline_run_id: Some(run.id), ..firing };
        let (actor, project_id, pending) = (caller.principal.name.clone(), project.id, run.clone());
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    // The run and the firing are stored together or not at all.
                    pipeline_runs::insert(tx, &pending).await?;
                    if let Some(alert) = alert {
                        let run = Node::new(NodeKind::PipelineRun, pending.id);
                        lineage::add(tx, project_id, &node(alert), &run, at.wall_ms).await?;
                    }
                    if !trigger_firings::fire(tx, &firing).await? {
                        let message = format!("trigger `{}` has fired for this cause already", firing.trigger_name);
                        return Err(Error::new(ErrorCode::AlreadyExists, message));
                    }
                    let subject = firing.trigger_name.to_string();
                    Recorder { actor, cause: Some(firing.cause_id.clone()), at }
                        .record(
                            tx,
                            LedgerEvent {
                                chain: Chain::Project(project_id),
                                noun: "trigger",
                                subject,
                                verb: "fire",
                                payload: cause.to_json(),
                            },
                        )
                        .await
                })
            })
            .await?;
        let line = if project.clock.stepped_ms().is_some() {
            // A step of the clock ends when all that it started has finished.
            self.run_to_line(caller, project, &run).await
        } else {
            let (watch, caller, project, started) = (self.clone(), caller.clone(), project.clone(), run.clone());
            caller.kernel.work.clone().spawn("triggered pipeline run", async move {
                let line = watch.run_to_line(&caller, &project, &started).await;
                tracing::info!(pipeline_run.id = %started.id, "a triggered pipeline run ended: {line}");
            });
            format!("pipeline run {} began", run.id)
        };
        Ok(Some(format!("trigger `{name}` ({event}): {line}")))
    }
}

impl Watch {
    /// Executes a run. Returns how it ended, in one line.
    async fn run_to_line(self: &Arc<Self>, caller: &Caller, project: &Arc<ProjectState>, run: &PipelineRun) -> String {
        match self.runner.run(caller, project, run).await {
            Ok(finished) => finished.message.unwrap_or_else(|| finished.state.as_str().to_owned()),
            Err(error) => error.message().to_owned(),
        }
    }
}
