//! Measures by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Classes that get measures of their own, most frequent outcomes first.
pub const MAX_CLASS_METRICS: usize = 100;

/// What was measured over some rows. Undefined measures are absent; no value is NaN or infinite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Labelled rows the measures were taken over.
    pub rows: u64,
    /// The measures of [`perennial_core::metric::metrics`] that are defined, by name.
    pub values: BTreeMap<String, f64>,
    /// Measures per class of a multiclass task; at most [`MAX_CLASS_METRICS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMetrics>,
}

/// What was measured of one class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class.
    pub class: String,
    /// Rows whose outcome it is.
    pub rows: u64,
    /// Rows for which the model answers it.
    pub answered: u64,
    /// `precision`, `recall`, `f1`, `auc`; undefined ones are absent.
    pub values: BTreeMap<String, f64>,
}

impl Metrics {
    /// The measure of that name, if it is defined; `rows` too.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "rows" {
            return Some(self.rows as f64);
        }
        self.values.get(name).copied()
    }

    /// The measures and `rows` as facts for expressions: doubles under their names.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        facts.insert("rows".to_owned(), Value::from(self.rows as f64));
        facts.extend(self.values.iter().map(|(name, &value)| (name.clone(), Value::from(value))));
        facts
    }

    /// Records a measure if it is defined.
    pub(crate) fn set(&mut self, name: &str, value: Option<f64>) {
        set(&mut self.values, name, value);
    }
}

/// Records a measure if it is defined; what overflowed to infinity is not.
pub(crate) fn set(values: &mut BTreeMap<String, f64>, name: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        values.insert(name.to_owned(), value);
    }
}

/// `part / whole`, absent when `whole` is zero.
pub(crate) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
