//! A pipeline run: its steps as a graph and a list, why each ran, and their logs.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_core::id::PipelineRunId;
use perennial_execution::pipeline_runs::{self, EventRecord, PipelineKind, PipelineRun, StepOutput, StepRun};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

use crate::badge::StatusBadge;
use crate::format;
use crate::graph::{self, Graph};
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

/// Bytes of a log that are shown: its end.
const LOG_SHOWN: usize = 20_000;
/// Logs that are shown on one page.
const LOGS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    layout: Layout,
    run: PipelineRun,
    graph: Option<Graph>,
    steps: Vec<Row>,
    /// Events of loads, the decision and the release.
    lines: Vec<String>,
}

struct Row {
    step: StepRun,
    outputs: Vec<StepOutput>,
    why: String,
    log: Option<String>,
    is_cut: bool,
}

impl Row {
    fn state(&self) -> StatusBadge {
        self.step.state.into()
    }

    fn took(&self) -> String {
        format::took(self.step.started_ms, self.step.ended_ms)
    }

    fn made(&self) -> String {
        let made = self
            .outputs
            .iter()
            .map(|output| format!("{} {} {}", output.kind.as_str(), output.name, format::short(&output.digest)));
        made.collect::<Vec<_>>().join(", ")
    }
}

impl Page {
    fn state(&self) -> StatusBadge {
        self.run.state.into()
    }

    fn took(&self) -> String {
        format::took(self.run.started_ms, self.run.ended_ms)
    }
}

/// One pipeline run.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let id: PipelineRunId = request.param("id", "pipeline run")?;
    let run = pipeline_runs::get(&caller, project, id).await?;
    let events = pipeline_runs::milestones(&caller, project, id).await?;
    let why = reasons(&events);
    let mut steps = Vec::new();
    for (step, outputs) in pipeline_runs::steps(&caller, project, id).await? {
        let (log, is_cut) =
            if steps.len() < LOGS_MAX { log(&caller, project, id, &step).await? } else { (None, false) };
        let why = why.get(step.step.as_str()).cloned().unwrap_or_default();
        steps.push(Row { step, outputs, why, log, is_cut });
    }
    page(&Page {
        graph: Graph::new(&drawn(project, &steps)),
        lines: lines(&events),
        layout: Layout::new(&request, "runs", title(&run)).await?,
        run,
        steps,
    })
}

fn title(run: &PipelineRun) -> &'static str {
    match run.kind {
        PipelineKind::Run => "Pipeline run",
        PipelineKind::Release => "Pipeline run with release",
    }
}

/// The end of a step's log. The page is shown even when the blob of the log is missing.
async fn log(
    caller: &Caller,
    project: &ProjectState,
    id: PipelineRunId,
    step: &StepRun,
) -> Result<(Option<String>, bool)> {
    match pipeline_runs::log(caller, project, id, &step.step).await {
        Ok((attempt, Some(text))) if attempt.id == step.id => {
            let from = text.ceil_char_boundary(text.len().saturating_sub(LOG_SHOWN));
            Ok((Some(text[from..].to_owned()), from > 0))
        }
        Ok(_) => Ok((None, false)),
        Err(error) => {
            tracing::warn!(step.name = %step.step, error.chain = %error.chain(), "a log cannot be shown");
            Ok((Some(format!("the log cannot be shown: {}", error.message())), false))
        }
    }
}

/// Why each step ran, from its `step_started` event.
fn reasons(events: &[EventRecord]) -> BTreeMap<String, String> {
    let started = events.iter().map(|event| &event.body).filter(|body| body["event"] == "step_started");
    started.filter_map(|body| Some((body["step"].as_str()?.to_owned(), format::value(&body["why"])))).collect()
}

fn lines(events: &[EventRecord]) -> Vec<String> {
    let lines = events.iter().filter_map(|event| {
        let word = |key: &str| event.body[key].as_str();
        match word("event")? {
            "load_ended" => Some(format!(
                "load of {} into {}: {}, {} rows, {} in quarantine",
                word("path")?,
                word("dataset")?,
                word("state")?,
                format::value(&event.body["rows"]),
                format::value(&event.body["set_aside"])
            )),
            "load_failed" | "decided" | "released" => word("message").map(str::to_owned),
            _ => None,
        }
    });
    lines.collect()
}

/// The steps in the order of the graph of the project file; those it does not know stand alone.
fn drawn(project: &ProjectState, rows: &[Row]) -> Vec<graph::Step> {
    let badge = |name: &str| rows.iter().rev().find(|row| row.step.step.as_str() == name).map(Row::state);
    let mut drawn = Vec::new();
    if let Some(submission) = project.find_submission() {
        for step in submission.graph.topological_order() {
            let Some(badge) = badge(step.as_str()) else { continue };
            let producers = submission.graph.inputs(step).filter_map(|node| submission.graph.producer(node));
            drawn.push(graph::Step {
                name: step.to_string(),
                badge,
                needs: producers.map(ToString::to_string).collect(),
            });
        }
    }
    for row in rows {
        if !drawn.iter().any(|step| step.name == row.step.step.as_str()) {
            drawn.push(graph::Step { name: row.step.step.to_string(), badge: row.state(), needs: Vec::new() });
        }
    }
    drawn
}
