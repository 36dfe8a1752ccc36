//! Metrics by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Maximum number of classes with metrics of their own, most frequent outcomes first.
pub const MAX_CLASS_METRICS: usize = 100;

/// Metrics over a set of rows. An undefined metric is absent; no value is NaN or infinite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of labelled rows.
    pub rows: u64,
    /// The defined metrics of [`perennial_core::metric::metrics`], by name.
    pub values: BTreeMap<String, f64>,
    /// Per-class metrics of a multiclass task; at most [`MAX_CLASS_METRICS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMetrics>,
}

/// One-vs-rest metrics of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Name of the class.
    pub class: String,
    /// Rows with this outcome.
    pub rows: u64,
    /// Rows for which the model predicts this class.
    pub predicted: u64,
    /// `precision`, `recall`, `f1`, `auc`; undefined ones are absent.
    pub values: BTreeMap<String, f64>,
}

impl Metrics {
    /// The metric of that name, if it is defined; `rows` is accepted too.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "rows" {
            return Some(self.rows as f64);
        }
        self.values.get(name).copied()
    }

    /// The metrics and `rows` as facts for expressions: doubles by name.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        facts.insert("rows".to_owned(), Value::from(self.rows as f64));
        facts.extend(self.values.iter().map(|(name, &value)| (name.clone(), Value::from(value))));
        facts
    }

    /// Stores a metric if it is defined.
    pub(crate) fn set(&mut self, name: &str, value: Option<f64>) {
        set(&mut self.values, name, value);
    }
}

/// Stores a metric if it is defined and finite.
pub(crate) fn set(values: &mut BTreeMap<String, f64>, name: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        values.insert(name.to_owned(), value);
    }
}

/// `part / whole`; `None` when `whole` is zero.
pub(crate) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
