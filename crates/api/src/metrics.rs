//! What `/metrics` tells, in Prometheus' text format.

mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use perennial_core::permission::Permission;

use crate::access::Access;
use crate::door::Door;
use crate::routes::{Route, Routes};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/metrics", Access::Server(Permission::Read), tell)
}

/// Upper bounds of the latency buckets, microseconds.
const BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];
/// Statuses that are counted by themselves; any other counts as the last.
const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 501, 503, 504, 0];

/// Counters by route.
pub(crate) struct Metrics {
    routes: Vec<(Arc<Route>, Counters)>,
    unmatched: Counters,
}

#[derive(Default)]
struct Counters {
    by_status: [AtomicU64; STATUSES.len()],
    by_latency: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(routes: &[Arc<Route>]) -> Self {
        Self {
            routes: routes.iter().map(|route| (route.clone(), Counters::default())).collect(),
            unmatched: Counters::default(),
        }
    }

    /// Counts an answer of the route at `place`.
    pub(crate) fn count(&self, place: usize, status: StatusCode, elapsed: Duration) {
        let counters = self.routes.get(place).map_or(&self.unmatched, |(_, counters)| counters);
        let us = elapsed.as_micros() as u64;
        let status = STATUSES.iter().position(|known| *known == status.as_u16()).unwrap_or(STATUSES.len() - 1);
        let bucket = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        counters.by_status[status].fetch_add(1, Ordering::Relaxed);
        counters.by_latency[bucket].fetch_add(1, Ordering::Relaxed);
        counters.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

async fn tell(State(door): State<Door>) -> Response {
    let text = text::of(&door);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
