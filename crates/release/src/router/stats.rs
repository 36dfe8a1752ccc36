//! Statistics of the requests that a version answered.

use std::sync::atomic::{AtomicU64, Ordering};

use perennial_core::latency::LatencyHistogram;

/// Requests answered by one version in one role. Counts requests, not rows; errors are 5xx.
#[derive(Default)]
pub struct RequestStats {
    fallbacks: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    latency: LatencyHistogram,
}

impl RequestStats {
    /// Counts one request.
    pub fn record(&self, latency_us: u64, is_error: bool) {
        self.record_many(latency_us, is_error, 1);
    }

    /// Counts requests of about the same latency and the same result.
    pub fn record_many(&self, latency_us: u64, is_error: bool, requests: u64) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.errors.fetch_add(if is_error { requests } else { 0 }, Ordering::Relaxed);
        self.latency.record_many(latency_us as f64 / 1e3, requests);
    }

    /// Counts requests routed to this canary that the champion answered, because they lack inputs of the canary.
    pub fn record_fallbacks(&self, requests: u64) {
        self.fallbacks.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests routed to this canary that the champion answered.
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.load(Ordering::Relaxed)
    }

    /// Requests answered.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that ended with 5xx.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How many latencies are in each bucket up to a bound in milliseconds, then how many exceed the last; and their sum.
    pub fn latencies(&self, bounds_ms: &[f64]) -> (Vec<u64>, f64) {
        self.latency.buckets(bounds_ms)
    }

    /// A latency quantile in milliseconds, within [`LATENCY_ERROR`](perennial_core::latency::LATENCY_ERROR) of the true
    /// one; `None` without requests.
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        self.latency.quantile(quantile)
    }
}
