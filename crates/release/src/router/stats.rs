//! Statistics of the requests that a version answered.

use std::sync::atomic::{AtomicU64, Ordering};

/// Number of latency buckets. Bucket bounds are microseconds, each 1.2 times the one before.
const LATENCY_BUCKETS: usize = 96;

/// Requests answered by one version in one role. Counts requests, not rows; errors are 5xx.
pub struct RequestStats {
    fallbacks: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    latency: [AtomicU64; LATENCY_BUCKETS],
}

impl Default for RequestStats {
    fn default() -> Self {
        Self {
            fallbacks: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency: [const { AtomicU64::new(0) }; LATENCY_BUCKETS],
        }
    }
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
        let bucket = ((latency_us.max(1) as f64).ln() / 1.2_f64.ln()) as usize;
        self.latency[bucket.min(LATENCY_BUCKETS - 1)].fetch_add(requests, Ordering::Relaxed);
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

    /// A latency quantile in milliseconds, at most 20 % above the true one; `None` without requests.
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        let counts: Vec<u64> = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = (all as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return Some(1.2_f64.powi(bucket as i32 + 1) / 1000.0);
            }
        }
        None
    }
}
