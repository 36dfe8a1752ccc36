//! `/metrics`: requests, predictions, projects, background work and memory, as Prometheus scrapes them.

mod projects;

use std::fmt;
use std::sync::{Arc, Weak};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use perennial_core::Error;
use perennial_core::permission::Permission;
use perennial_http::Slices;
use perennial_http::extract::CurrentCaller;
use perennial_http::metrics::CONTENT_TYPE;
use perennial_http::{Access, HttpError};
use perennial_release::Route;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use self::projects::ProjectMetrics;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes.scrape("/metrics", Access::Server(Permission::Read), show)
}

async fn show(State(state): State<ApiState>, CurrentCaller { caller }: CurrentCaller) -> Result<Response, HttpError> {
    let unwritten = |cause| Error::internal("the metrics could not be written", cause);
    let mut text = state.perimeter.metrics().text().map_err(unwritten)?;
    text.push_str(&ProjectMetrics::read(&state.app, &caller).await?.text().map_err(unwritten)?);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// The metrics of an application, read when they are scraped.
pub(crate) struct AppMetrics(Weak<Slices>);

impl AppMetrics {
    pub(crate) fn new(app: &Arc<Slices>) -> Self {
        Self(Arc::downgrade(app))
    }
}

impl fmt::Debug for AppMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppMetrics")
    }
}

impl Collector for AppMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(app) = self.0.upgrade() else { return Ok(()) };
        encode_predictions(&app, &mut encoder)?;
        let tasks = ("perennial_tasks_in_flight", "Pipeline runs and other background work in progress.");
        encode_gauge(&mut encoder, tasks, app.kernel.work.len() as u64)?;
        let writes = ("perennial_store_writes_waiting", "Writes that wait for the metadata store.");
        encode_gauge(&mut encoder, writes, app.kernel.store().waiting() as u64)?;
        match resident_bytes() {
            Some(bytes) => encode_gauge(&mut encoder, ("process_resident_memory_bytes", "Resident memory."), bytes),
            None => Ok(()),
        }
    }
}

fn encode_gauge(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), value: u64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct VersionLabels {
    project: String,
    endpoint: String,
    version: i64,
    role: &'static str,
}

/// Upper bounds of the latency buckets of predictions, in seconds.
const BOUNDS_SECONDS: [f64; 12] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Latencies of predictions by bucket.
struct Latencies {
    /// The sum of all latencies, in seconds.
    sum: f64,
    count: u64,
    /// The latencies of each bucket by its upper bound.
    buckets: Vec<(f64, u64)>,
}

impl EncodeMetric for Latencies {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// What one version answered since it got its role.
struct VersionRequests {
    labels: VersionLabels,
    requests: u64,
    errors: u64,
    latencies: Latencies,
}

fn version_requests(app: &Slices) -> Vec<VersionRequests> {
    let mut all = Vec::new();
    for (project, endpoint) in app.endpoints.router.endpoints() {
        let Some(deployment) = app.endpoints.router.find_in(project, endpoint.as_str()) else { continue };
        for Route { version, role, .. } in deployment.routes.iter() {
            let labels = VersionLabels {
                project: deployment.project.name.to_string(),
                endpoint: endpoint.to_string(),
                version: version.number,
                role: role.as_str(),
            };
            let bounds_ms = BOUNDS_SECONDS.map(|seconds| seconds * 1e3);
            let (counts, sum_ms) = version.stats.latencies(&bounds_ms);
            let latencies = Latencies {
                sum: sum_ms / 1e3,
                count: counts.iter().sum(),
                buckets: BOUNDS_SECONDS.into_iter().zip(counts).collect(),
            };
            let (requests, errors) = (version.stats.requests(), version.stats.errors());
            all.push(VersionRequests { labels, requests, errors, latencies });
        }
    }
    all
}

fn encode_predictions(app: &Slices, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let versions = version_requests(app);
    encode_counters(
        encoder,
        ("perennial_prediction_requests", "Requests that a version answered since it got its role."),
        versions.iter().map(|version| (&version.labels, version.requests)),
    )?;
    encode_counters(
        encoder,
        ("perennial_prediction_errors", "Requests of these that ended with 5xx."),
        versions.iter().map(|version| (&version.labels, version.errors)),
    )?;
    let help = "Latency of a version's answers.";
    let mut family = encoder.encode_descriptor("perennial_prediction_seconds", help, None, MetricType::Histogram)?;
    for VersionRequests { labels, latencies, .. } in &versions {
        latencies.encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn encode_counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    series: impl Iterator<Item = (&'a VersionLabels, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        ConstCounter::new(value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

/// Resident memory of this process, where the system reports it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
