//! Latency histograms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maximum relative error of a quantile.
pub const LATENCY_ERROR: f64 = 0.01;

/// Shorter latencies are counted as this: one microsecond.
const SHORTEST_MS: f64 = 1e-3;

/// Longer latencies are counted as this: one day. It bounds a histogram to 1,261 bins.
const LONGEST_MS: f64 = 86_400_000.0;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    bins: BTreeMap<i32, u64>,
}

impl LatencyHistogram {
    /// Creates an empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one latency in milliseconds; NaN counts as the longest.
    pub fn record(&mut self, milliseconds: f64) {
        let kept = if milliseconds.is_nan() { LONGEST_MS } else { milliseconds.clamp(SHORTEST_MS, LONGEST_MS) };
        *self.bins.entry((kept.ln() / growth().ln()).ceil() as i32).or_insert(0) += 1;
    }

    /// Number of latencies counted.
    pub fn count(&self) -> u64 {
        self.bins.values().sum()
    }

    /// The latency in milliseconds that a share of `quantile` (0 to 1) of all latencies does not exceed; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = ((quantile.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        for (&bin, count) in &self.bins {
            passed += count;
            if passed >= rank {
                // The point with the same relative distance to both edges of the bin.
                return Some(2.0 * growth().powi(bin) / (growth() + 1.0));
            }
        }
        None
    }

    /// Median and 99th percentile; `None` when empty.
    pub fn latency(&self) -> Option<Latency> {
        Some(Latency { p50_ms: self.quantile(0.5)?, p99_ms: self.quantile(0.99)? })
    }
}

/// The ratio of a bin's upper to its lower edge.
const fn growth() -> f64 {
    (1.0 + LATENCY_ERROR) / (1.0 - LATENCY_ERROR)
}
