//! Points of metrics.

/// One point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// The metric.
    pub key: String,
    /// The value; may be NaN.
    pub value: f64,
    /// Epoch milliseconds, reported by the client.
    pub timestamp_ms: i64,
    /// The step, counted by the client.
    pub step: i64,
}

impl MetricPoint {
    /// The stored value: a NaN is stored as 0 with a flag, and compares as 0.
    pub fn stored_value(&self) -> f64 {
        if self.value.is_nan() { 0.0 } else { self.value }
    }

    /// Whether the point replaces `other` as the latest point of the metric.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.step, self.timestamp_ms)
            .cmp(&(other.step, other.timestamp_ms))
            .then(self.stored_value().total_cmp(&other.stored_value()))
            .is_gt()
    }
}
