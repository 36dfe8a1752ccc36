//! Metrics of projects, read from the metadata when they are scraped.

use std::collections::BTreeMap;
use std::fmt;

use perennial_core::Result;
use perennial_core::entity::MonitorResultKind;
use perennial_core::id::ProjectId;
use perennial_execution::pipeline_runs;
use perennial_http::Slices;
use perennial_ingest::loads;
use perennial_kernel::{Caller, alerts};
use perennial_projects::ProjectState;
use perennial_release::approvals;
use perennial_watch::monitor_results;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

/// Newest pipeline runs among which the last one that ended is searched.
const RUNS_SEARCHED: u32 = 20;

#[derive(Debug, Clone, EncodeLabelSet)]
struct ProjectLabels {
    project: String,
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct EndpointLabels {
    project: String,
    endpoint: String,
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct RunLabels {
    project: String,
    kind: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct FactLabels {
    project: String,
    monitor: String,
    version: i64,
    kind: &'static str,
    fact: String,
}

/// What is measured of every project.
#[derive(Debug, Default)]
pub(super) struct ProjectMetrics {
    alerts: Vec<(ProjectLabels, f64)>,
    held: Vec<(ProjectLabels, f64)>,
    approvals: Vec<(ProjectLabels, f64)>,
    ready: Vec<(EndpointLabels, f64)>,
    runs: Vec<(RunLabels, f64)>,
    facts: Vec<(FactLabels, f64)>,
}

impl ProjectMetrics {
    /// Reads the metrics of every project that the caller may read.
    pub(super) async fn read(app: &Slices, caller: &Caller) -> Result<Self> {
        let firing = alerts::count_firing_by_project(caller).await?;
        let (held, waiting) = (loads::count_held(caller).await?, approvals::count_waiting(caller).await?);
        let count =
            |counts: &BTreeMap<ProjectId, u64>, project| counts.get(&project).copied().unwrap_or_default() as f64;
        let endpoints = app.endpoints.readiness(caller).await?;
        let mut all = Self::default();
        for record in app.projects.list(caller).await? {
            let project = app.projects.get(record.id).await?;
            let labels = ProjectLabels { project: project.name.to_string() };
            all.alerts.push((labels.clone(), count(&firing, project.id)));
            all.held.push((labels.clone(), count(&held, project.id)));
            all.approvals.push((labels, count(&waiting, project.id)));
            for (_, endpoint, is_ready) in endpoints.iter().filter(|(owner, ..)| *owner == project.id) {
                let labels = EndpointLabels { project: project.name.to_string(), endpoint: endpoint.to_string() };
                all.ready.push((labels, f64::from(u8::from(*is_ready))));
            }
            all.read_run(caller, &project).await?;
            all.read_facts(caller, &project).await?;
        }
        Ok(all)
    }

    /// The newest pipeline run that has ended.
    async fn read_run(&mut self, caller: &Caller, project: &ProjectState) -> Result<()> {
        let runs = pipeline_runs::list(caller, project, None, RUNS_SEARCHED).await?.items;
        let ended = runs.into_iter().find_map(|run| Some((run.kind, run.state, run.ended_ms?)));
        if let Some((kind, state, ended_ms)) = ended {
            let labels = RunLabels { project: project.name.to_string(), kind: kind.as_str(), state: state.as_str() };
            self.runs.push((labels, ended_ms as f64 / 1e3));
        }
        Ok(())
    }

    /// The facts of the latest window of each monitor.
    async fn read_facts(&mut self, caller: &Caller, project: &ProjectState) -> Result<()> {
        for kind in [MonitorResultKind::Inputs, MonitorResultKind::Quality] {
            for result in monitor_results::list_latest(caller, project, kind).await? {
                let labels = |fact: &str| FactLabels {
                    project: project.name.to_string(),
                    monitor: result.monitor.to_string(),
                    version: result.number,
                    kind: kind.as_str(),
                    fact: fact.to_owned(),
                };
                let mut numbers = Vec::new();
                numbers_in("", &result.facts["facts"], &mut numbers);
                self.facts.extend(numbers.into_iter().map(|(fact, value)| (labels(&fact), value)));
            }
        }
        Ok(())
    }

    /// The metrics in the text format of Prometheus.
    pub(super) fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The numbers of facts, nested ones by path; lists, such as slices, are left out.
fn numbers_in(path: &str, facts: &Value, numbers: &mut Vec<(String, f64)>) {
    if let Some(number) = facts.as_f64() {
        numbers.push((path.to_owned(), number));
    }
    for (name, inner) in facts.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        numbers_in(&path, inner, numbers);
    }
}

impl Collector for ProjectMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        family(&mut encoder, ("perennial_alerts_firing", "Alerts that are firing."), &self.alerts)?;
        family(&mut encoder, ("perennial_loads_held", "Loads that are held by their checks."), &self.held)?;
        family(&mut encoder, ("perennial_approvals_waiting", "Releases that wait for an approval."), &self.approvals)?;
        let help = "1 when the endpoint answers as recorded, else 0.";
        family(&mut encoder, ("perennial_endpoint_ready", help), &self.ready)?;
        let help = "End of the newest pipeline run that has ended, seconds since 1970.";
        family(&mut encoder, ("perennial_pipeline_run_end_timestamp_seconds", help), &self.runs)?;
        let help = "A fact of the latest window of a monitor.";
        family(&mut encoder, ("perennial_monitor_fact", help), &self.facts)
    }
}

fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    series: &[(L, f64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}
