//! Latency histograms.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Maximum relative error of a quantile.
pub const LATENCY_ERROR: f64 = 0.01;

/// Shorter latencies are counted as this: one microsecond.
const SHORTEST_MS: f64 = 1e-3;

/// Longer latencies are counted as this: one day.
const LONGEST_MS: f64 = 86_400_000.0;

/// The bin of [`SHORTEST_MS`]; bin 0 ends at one millisecond.
const FIRST_BIN: i32 = -345;

/// Number of bins, up to that of [`LONGEST_MS`].
const BINS: usize = 1_260;

/// The latency quantiles that are available as facts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

/// A histogram whose bin edges grow by a constant factor, so that every
/// quantile has a relative error of at most [`LATENCY_ERROR`] (as in DDSketch:
/// Masson, Rim and Lee 2019).
///
/// Many threads may record concurrently. Its 10 kB are allocated with the first latency.
#[derive(Debug, Default)]
pub struct LatencyHistogram {
    bins: OnceLock<Box<[AtomicU64]>>,
}

impl LatencyHistogram {
    /// Creates an empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one latency in milliseconds; NaN counts as the longest.
    pub fn record(&self, milliseconds: f64) {
        self.record_many(milliseconds, 1);
    }

    /// Counts `count` latencies of the same length in milliseconds; NaN counts as the longest.
    pub fn record_many(&self, milliseconds: f64, count: u64) {
        let kept = if milliseconds.is_nan() { LONGEST_MS } else { milliseconds.clamp(SHORTEST_MS, LONGEST_MS) };
        let bin = (kept.ln() / growth().ln()).ceil() as i32 - FIRST_BIN;
        let bins = self.bins.get_or_init(|| (0..BINS).map(|_| AtomicU64::new(0)).collect());
        bins[(bin.max(0) as usize).min(BINS - 1)].fetch_add(count, Ordering::Relaxed);
    }

    /// Number of latencies counted.
    pub fn count(&self) -> u64 {
        self.counts().sum()
    }

    /// The latency in milliseconds that a share of `quantile` (0 to 1) of all latencies does not exceed; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = ((quantile.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        let bin = self.counts().position(|count| {
            passed += count;
            passed >= rank
        })?;
        Some(middle(bin))
    }

    /// How many latencies are in each bucket up to a bound in milliseconds, in increasing order, then how many exceed the
    /// last bound; and the sum of all in milliseconds. Each latency counts by the middle of its bin.
    pub fn buckets(&self, bounds_ms: &[f64]) -> (Vec<u64>, f64) {
        let (mut buckets, mut sum) = (vec![0; bounds_ms.len() + 1], 0.0);
        for (bin, count) in self.counts().enumerate().filter(|(_, count)| *count > 0) {
            let latency = middle(bin);
            buckets[bounds_ms.partition_point(|bound| *bound < latency)] += count;
            sum += latency * count as f64;
        }
        (buckets, sum)
    }

    /// Median and 99th percentile; `None` when empty.
    pub fn latency(&self) -> Option<Latency> {
        Some(Latency { p50_ms: self.quantile(0.5)?, p99_ms: self.quantile(0.99)? })
    }

    /// Latencies by bin.
    fn counts(&self) -> impl Iterator<Item = u64> {
        self.bins.get().into_iter().flatten().map(|count| count.load(Ordering::Relaxed))
    }
}

/// The latency in milliseconds with the same relative distance to both edges of a bin.
fn middle(bin: usize) -> f64 {
    2.0 * growth().powi(bin as i32 + FIRST_BIN) / (growth() + 1.0)
}

/// The ratio of a bin's upper to its lower edge.
const fn growth() -> f64 {
    (1.0 + LATENCY_ERROR) / (1.0 - LATENCY_ERROR)
}

#[cfg(test)]
mod tests;
