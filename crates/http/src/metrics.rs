//! Metrics of requests, and the registry whose text `/metrics` returns.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// Upper bounds of the latency buckets, in seconds.
const BOUNDS_SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Statuses counted by themselves; all others are counted as `other`.
const STATUSES: [u16; 19] =
    [200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 501, 503, 504];

/// The number of requests in flight.
pub(crate) type InFlight = Gauge;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    method: &'static str,
    route: String,
    status: String,
}

/// Requests by route and status, their latency, and the requests in flight.
pub struct RequestMetrics {
    registry: Mutex<Registry>,
    requests: Family<StatusLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: InFlight,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let seconds = Family::new_with_constructor(latency_histogram as fn() -> Histogram);
        let in_flight = InFlight::default();
        registry.register("perennial_http_requests", "Requests answered, by route and status", requests.clone());
        registry.register("perennial_http_request_seconds", "Time from request to response, by route", seconds.clone());
        registry.register("perennial_requests_in_flight", "Requests in flight", in_flight.clone());
        Self { registry: Mutex::new(registry), requests, seconds, in_flight }
    }
}

fn latency_histogram() -> Histogram {
    Histogram::new(BOUNDS_SECONDS)
}

impl RequestMetrics {
    /// Adds metrics that are read when the text is.
    pub fn register(&self, collector: impl Collector) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(collector));
    }

    /// All metrics in the text format of Prometheus.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::with_capacity(16 * 1024);
        prometheus_text::encode(&mut out, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// The metrics of one route.
    pub(crate) fn route(&self, method: &'static str, path: &str) -> RouteMetrics {
        RouteMetrics {
            labels: RouteLabels { method, route: path.to_owned() },
            requests: self.requests.clone(),
            seconds: self.seconds.clone(),
            by_status: Default::default(),
            latency: OnceLock::new(),
        }
    }
}

/// Counts and times the requests of one route. Its series are looked up once, not at each request, and appear with the
/// first request.
pub(crate) struct RouteMetrics {
    labels: RouteLabels,
    requests: Family<StatusLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    by_status: [OnceLock<Counter>; STATUSES.len() + 1],
    latency: OnceLock<Histogram>,
}

impl RouteMetrics {
    pub(crate) fn record(&self, status: StatusCode, elapsed: Duration) {
        let place = STATUSES.iter().position(|known| *known == status.as_u16());
        let counter = self.by_status[place.unwrap_or(STATUSES.len())].get_or_init(|| {
            let RouteLabels { method, route } = self.labels.clone();
            let status = place.map_or_else(|| "other".to_owned(), |_| status.as_str().to_owned());
            self.requests.get_or_create_owned(&StatusLabels { method, route, status })
        });
        counter.inc();
        self.latency.get_or_init(|| self.seconds.get_or_create_owned(&self.labels)).observe(elapsed.as_secs_f64());
    }
}
