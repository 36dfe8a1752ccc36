//! Latencies as counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A quantile is within this share of the true one.
pub const LATENCY_ERROR: f64 = 0.01;

/// Shorter latencies count as this: one microsecond.
const SHORTEST_MS: f64 = 1e-3;

/// Longer latencies count as this: a day. With it a histogram has at most 1,261 bins.
const LONGEST_MS: f64 = 86_400_000.0;

/// The two quantiles that facts speak of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median, milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// Counts of latencies on bins whose edges grow by a constant factor, so that
/// every quantile is within [`LATENCY_ERROR`] of the true one whatever its size
/// (the idea of DDSketch: Masson, Rim and Lee 2019).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    bins: BTreeMap<i32, u64>,
}

impl LatencyHistogram {
    /// No latencies yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one latency in milliseconds; what is no number counts as the longest.
    pub fn record(&mut self, milliseconds: f64) {
        let kept = if milliseconds.is_nan() { LONGEST_MS } else { milliseconds.clamp(SHORTEST_MS, LONGEST_MS) };
        *self.bins.entry((kept.ln() / growth().ln()).ceil() as i32).or_insert(0) += 1;
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.bins.values().sum()
    }

    /// The latency in milliseconds that a share of `quantile` (0 to 1) does not exceed; absent without latencies.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = ((quantile.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).max(1);
        let mut passed = 0;
        for (&bin, count) in &self.bins {
            passed += count;
            if passed >= rank {
                // Equally far, as a share, from both edges of the bin.
                return Some(2.0 * growth().powi(bin) / (growth() + 1.0));
            }
        }
        None
    }

    /// Median and 99th percentile; absent without latencies.
    pub fn latency(&self) -> Option<Latency> {
        Some(Latency { p50_ms: self.quantile(0.5)?, p99_ms: self.quantile(0.99)? })
    }
}

const fn growth() -> f64 {
    (1.0 + LATENCY_ERROR) / (1.0 - LATENCY_ERROR)
}
