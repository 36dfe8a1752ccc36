//! The overview of a project: each stage of the life cycle with its newest fact and its open alerts.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::AlertSubject;
use perennial_core::rule::Verdict;
use perennial_core::state::{AlertState, ApprovalRequestState, LoadState};
use perennial_execution::pipeline_runs::{self, PipelineRun, StepRun};
use perennial_ingest::datasets::{self, CheckResult, Load, LoadOrigin};
use perennial_kernel::Caller;
use perennial_kernel::alerts::{self, Alert};
use perennial_projects::ProjectState;
use perennial_release::deployments::EndpointState;
use perennial_release::{Endpoints, releases};
use perennial_watch::monitor_results::{self, MonitorResultKind};

use crate::badge::StatusBadge;
use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

/// Newest pipeline runs that are searched for the newest run of each step.
const RUNS_SEARCHED: u32 = 10;
/// Alerts that are read, and those that a stage shows.
const ALERTS_SHOWN: u32 = 100;
const STAGE_ALERTS: usize = 3;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    layout: Layout,
    owners: Vec<String>,
    task: Option<String>,
    stages: Vec<Stage>,
}

struct Stage {
    name: &'static str,
    href: String,
    badge: StatusBadge,
    fact: String,
    /// When, on the project clock.
    at_ms: Option<i64>,
    alerts: Vec<String>,
}

/// What the stages are computed from.
struct ProjectFacts {
    loads: Vec<(String, Load)>,
    datasets: usize,
    checks: Vec<CheckResult>,
    run: Option<PipelineRun>,
    /// The newest triggered run.
    triggered: Option<PipelineRun>,
    steps: Vec<(PipelineRun, StepRun)>,
    alerts: Vec<Alert>,
}

/// The loop.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let layout = Layout::new(&request, "", project.name.to_string()).await?;
    let facts = read_facts(&caller, project).await?;
    let submission = project.find_submission();
    let owners = submission.iter().flat_map(|submission| submission.project.project.owners.iter().cloned()).collect();
    let task = submission.as_ref().and_then(|submission| submission.project.task.as_ref()).map(|task| {
        let delay = task.label_delay.as_ref().map(|delay| format!(", outcomes within {}", delay.as_str()));
        let delay = delay.unwrap_or_default();
        format!(
            "predict {} of {}, evaluated by {} on the latest {}{delay}",
            task.target,
            task.data,
            task.metric,
            task.test.as_str()
        )
    });
    let mut stages = vec![collect(&layout, &facts), check(&layout, &facts)];
    stages.push(step(&layout, &facts, project, "Prepare", false));
    stages.push(step(&layout, &facts, project, "Train", true));
    stages.push(test(&layout, &caller, project).await?);
    stages.push(release(&layout, &caller, project, &facts).await?);
    stages.push(serve(&layout, &request.app().endpoints, (&caller, project), &facts).await?);
    stages.push(watch(&layout, &caller, project, &facts).await?);
    stages.push(retrain(&layout, project, &facts));
    page(&Page { layout, owners, task, stages })
}

async fn read_facts(caller: &Caller, project: &ProjectState) -> Result<ProjectFacts> {
    let (mut loads, mut checks) = (Vec::new(), Vec::new());
    let names = datasets::names(caller, project).await?;
    for (load, results) in datasets::latest_checks(caller, project).await? {
        let name = names.get(&load.dataset_id).map(ToString::to_string).unwrap_or_default();
        loads.push((name, load));
        checks.extend(results);
    }
    let runs = pipeline_runs::list(caller, project, None, RUNS_SEARCHED).await?.items;
    let mut steps = Vec::new();
    for run in &runs {
        steps.extend(
            pipeline_runs::steps(caller, project, run.id).await?.into_iter().map(|(step, _)| (run.clone(), step)),
        );
    }
    let triggered = runs.iter().find(|run| matches!(run.cause, Cause::Trigger { .. })).cloned();
    let alerts = alerts::list_firing(caller, project.id, ALERTS_SHOWN).await?;
    Ok(ProjectFacts { loads, datasets: names.len(), checks, run: runs.into_iter().next(), triggered, steps, alerts })
}

impl ProjectFacts {
    /// Messages of the firing alerts about a kind of subject.
    fn alerts(&self, is_about: impl Fn(&AlertSubject) -> bool) -> Vec<String> {
        let mut messages: Vec<String> =
            self.alerts.iter().filter(|alert| is_about(&alert.subject)).map(|alert| alert.message.clone()).collect();
        if messages.len() > STAGE_ALERTS {
            let more = messages.len() - STAGE_ALERTS;
            messages.truncate(STAGE_ALERTS);
            messages.push(format!("and {more} more"));
        }
        messages
    }
}

fn collect(layout: &Layout, facts: &ProjectFacts) -> Stage {
    let collected = |load: &Load| !matches!(load.origin, LoadOrigin::Step | LoadOrigin::Sql | LoadOrigin::Predictions);
    let newest = facts.loads.iter().filter(|(_, load)| collected(load)).max_by_key(|(_, load)| load.project_ms);
    let fact = match newest {
        Some((dataset, load)) => format!(
            "{}; latest load into {dataset}: {}",
            format::counted(facts.datasets, "dataset"),
            format::counted(load.arrived, "row")
        ),
        None => "no load yet; perennial run collects every source".to_owned(),
    };
    let badge = newest.map_or(StatusBadge::NONE, |(_, load)| load.state.into());
    let at_ms = newest.map(|(_, load)| load.project_ms);
    let faulty = facts.alerts(|subject| matches!(subject, AlertSubject::File { .. }));
    let badge = if faulty.is_empty() { badge } else { StatusBadge::FAILED };
    let alerts = [faulty, facts.alerts(|subject| matches!(subject, AlertSubject::Dataset(_)))].concat();
    Stage { name: "Collect", href: layout.to("datasets"), badge, fact, at_ms, alerts }
}

fn check(layout: &Layout, facts: &ProjectFacts) -> Stage {
    let failed = facts.checks.iter().filter(|check| check.verdict != Verdict::Pass).count();
    let aside: u64 = facts.loads.iter().map(|(_, load)| load.set_aside).sum();
    let is_held = facts.loads.iter().any(|(_, load)| load.state == LoadState::Held);
    let badge = match (facts.checks.is_empty(), is_held || failed > 0) {
        (true, _) => StatusBadge::NONE,
        (false, true) => StatusBadge::FAILED,
        (false, false) => StatusBadge::PASSED,
    };
    let held = if is_held { ", a load is held" } else { "" };
    let fact = match facts.checks.len() {
        0 => "no check has been evaluated yet".to_owned(),
        all => format!(
            "{} of {all} checks of the latest loads passed, {} rows in quarantine{held}",
            all - failed,
            format::count(aside)
        ),
    };
    let at_ms = facts.loads.iter().map(|(_, load)| load.project_ms).max();
    Stage {
        name: "Check",
        href: layout.to("datasets"),
        badge,
        fact,
        at_ms,
        alerts: facts.alerts(|subject| matches!(subject, AlertSubject::Load(_))),
    }
}

/// The newest attempt at a step that makes a model, or at one that makes data.
fn step(layout: &Layout, facts: &ProjectFacts, project: &ProjectState, name: &'static str, trains: bool) -> Stage {
    let submission = project.find_submission();
    let is_kind = |step: &StepRun| {
        let declared = submission.as_ref().and_then(|submission| submission.project.steps.get(&step.step));
        declared.is_some_and(|declared| {
            if trains {
                declared.produces_model()
            } else {
                !declared.produces_model() && declared.kind.as_str() != "evaluate"
            }
        })
    };
    // Of the steps that train, the candidate's is shown.
    let candidate = submission.as_ref().and_then(|now| Some(now.project.release.as_ref()?.model.clone()));
    let is_candidate = |step: &StepRun| trains && candidate.as_ref() == Some(&step.step);
    let of_candidate = facts.steps.iter().find(|(_, step)| is_candidate(step));
    let newest = of_candidate.or_else(|| facts.steps.iter().find(|(_, step)| is_kind(step)));
    let (badge, fact, at_ms, href) = match newest {
        Some((run, step)) => {
            let message = step.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            let fact = format!("step {} took {}{message}", step.step, format::took(step.started_ms, step.ended_ms));
            (step.state.into(), fact, Some(run.project_ms), layout.item("runs", run.id))
        }
        None => (StatusBadge::NONE, "no such step has run yet".to_owned(), None, layout.to("runs")),
    };
    Stage { name, href, badge, fact, at_ms, alerts: Vec::new() }
}

async fn test(layout: &Layout, caller: &Caller, project: &ProjectState) -> Result<Stage> {
    let newest = releases::list_decisions(caller, project, None, 1).await?.items.into_iter().next();
    let (badge, fact, at_ms, href) = match newest {
        Some(decision) => {
            let beside = decision
                .champion_number
                .map(|champion| format!(", compared with champion {champion}"))
                .unwrap_or_default();
            let fact = format!("version {} evaluated by the gates{beside}", decision.number);
            (decision.verdict.into(), fact, Some(decision.project_ms), layout.item("models", decision.number))
        }
        None => (StatusBadge::NONE, "no candidate has been evaluated yet".to_owned(), None, layout.to("models")),
    };
    Ok(Stage { name: "Test", href, badge, fact, at_ms, alerts: Vec::new() })
}

async fn release(layout: &Layout, caller: &Caller, project: &ProjectState, facts: &ProjectFacts) -> Result<Stage> {
    let newest = releases::list_promotions(caller, project, None, 1).await?.items.into_iter().next();
    let (badge, fact, at_ms) = match newest {
        Some(promotion) => {
            let to = match (promotion.to_number, promotion.from_number) {
                (Some(number), _) => format!("version {number}"),
                (None, Some(number)) => format!("the canary of version {number}"),
                (None, None) => "no version".to_owned(),
            };
            let at = promotion.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
            (StatusBadge::READY, format!("{}: {to}{at}", promotion.kind.as_str()), Some(promotion.project_ms))
        }
        None => (StatusBadge::NONE, "no release yet".to_owned(), None),
    };
    let alerts = facts.alerts(|subject| matches!(subject, AlertSubject::Release(_)));
    let badge = if alerts.is_empty() { badge } else { StatusBadge::from(ApprovalRequestState::Waiting) };
    Ok(Stage { name: "Release", href: layout.to("releases"), badge, fact, at_ms, alerts })
}

async fn serve(
    layout: &Layout,
    endpoints: &Arc<Endpoints>,
    (caller, project): (&Caller, &ProjectState),
    facts: &ProjectFacts,
) -> Result<Stage> {
    let endpoints = endpoints.list(caller, project).await?;
    let texts = endpoints.iter().map(|state| {
        let endpoint = &state.endpoint;
        let champion = endpoint
            .champion_number
            .map_or_else(|| "no version answers".to_owned(), |number| format!("version {number} answers"));
        let canary = endpoint.canary_number.filter(|_| endpoint.has_active_canary());
        let canary = canary.map(|number| format!(", version {number} is its canary")).unwrap_or_default();
        let requests: u64 = state.routes.iter().map(|version| version.requests).sum();
        format!("{}: {champion}{canary}, {} requests on this server", endpoint.name, format::count(requests))
    });
    let fact = texts.collect::<Vec<_>>().join("; ");
    let is_serving = endpoints.iter().any(|state| state.endpoint.champion_number.is_some());
    let fact = if fact.is_empty() { "no endpoint answers yet".to_owned() } else { fact };
    let at_ms = endpoints.iter().filter_map(|state| state.endpoint.champion_since_ms).max();
    let badge = if is_serving { StatusBadge::READY } else { StatusBadge::NONE };
    let is_silent = |state: &EndpointState| state.fault.is_some() && state.routes.is_empty();
    let badge = if endpoints.iter().any(is_silent) { StatusBadge::UNREADY } else { badge };
    let alerts = facts.alerts(|subject| matches!(subject, AlertSubject::Endpoint(_)));
    Ok(Stage { name: "Serve", href: layout.to("endpoints"), badge, fact, at_ms, alerts })
}

async fn watch(layout: &Layout, caller: &Caller, project: &ProjectState, facts: &ProjectFacts) -> Result<Stage> {
    let metric = layout.project.as_ref().map(|project| project.metric.clone()).unwrap_or_default();
    let mut latest = monitor_results::list_latest(caller, project, MonitorResultKind::Inputs).await?;
    latest.extend(monitor_results::list_latest(caller, project, MonitorResultKind::Quality).await?);
    let newest = latest.into_iter().max_by_key(|result| (result.window_start_ms, result.project_ms));
    let alerts = facts.alerts(|subject| matches!(subject, AlertSubject::Monitor(_)));
    let (badge, fact, at_ms) = match newest {
        Some(result) => {
            let facts = &result.facts["facts"];
            let measure = facts[metric.as_str()]
                .as_f64()
                .map(|value| format!(", {metric} {}", format::number(value)))
                .unwrap_or_default();
            let window = layout.when(result.window_start_ms);
            let drift = format::percent(facts["drift"]["share"].as_f64());
            let fact = format!(
                "{}, window from {window}, version {}: {drift} of features drifted{measure}",
                result.monitor, result.number
            );
            (if alerts.is_empty() { StatusBadge::STEADY } else { StatusBadge::DRIFTED }, fact, Some(result.project_ms))
        }
        None => (StatusBadge::NONE, "no window has been evaluated yet".to_owned(), None),
    };
    let badge = if alerts.is_empty() { badge } else { StatusBadge::from(AlertState::Firing) };
    Ok(Stage { name: "Watch", href: layout.to("monitors"), badge, fact, at_ms, alerts })
}

fn retrain(layout: &Layout, project: &ProjectState, facts: &ProjectFacts) -> Stage {
    let submission = project.find_submission();
    let triggers = submission.iter().flat_map(|submission| submission.project.triggers.iter());
    let declared = triggers.map(|(name, trigger)| {
        format!("{name} on {}", trigger.on.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
    });
    let declared = declared.collect::<Vec<_>>().join("; ");
    let (badge, fact, at_ms, href) = match (&facts.triggered, &facts.run) {
        (Some(run), _) => {
            (run.state.into(), format::cause(&run.cause), Some(run.project_ms), layout.item("runs", run.id))
        }
        (None, Some(run)) if declared.is_empty() => (
            run.state.into(),
            format!("last run by {}", format::cause(&run.cause)),
            Some(run.project_ms),
            layout.item("runs", run.id),
        ),
        _ if declared.is_empty() => (StatusBadge::NONE, "no trigger is declared".to_owned(), None, layout.to("runs")),
        _ => (StatusBadge::WATCHING, declared, None, layout.to("runs")),
    };
    Stage { name: "Retrain", href, badge, fact, at_ms, alerts: Vec::new() }
}
