//! The result of one window, and the facts over which alerts are evaluated.

use std::collections::BTreeMap;

use perennial_core::calendar::Window;
use perennial_core::latency::Latency;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::drift::Drift;

/// The result of one model version in one window. Undefined parts are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowResult {
    /// The model version.
    pub version: String,
    /// The window, by prediction time on the project clock.
    pub window: Window,
    /// Rows that the version predicted.
    pub rows: u64,
    /// Predicted rows whose outcome is known.
    pub labelled_rows: u64,
    /// Metrics over the labelled rows, by name.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// Drift of inputs and scores from the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Latency of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Requests routed to the version.
    pub requests: u64,
    /// Requests that failed with a 5xx status.
    pub errors: u64,
}

impl WindowResult {
    /// The share of rows whose outcome is known; `None` without rows.
    pub fn labelled(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.labelled_rows as f64 / self.rows as f64)
    }

    /// The share of requests that failed; `None` without requests.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// The facts of an alert: this window's metrics by name, `rows`, `labelled`,
    /// `drift` (`share`, `score`, and `features`: population stability indices by
    /// name), `latency`, `error_rate`, and `reference`: the metrics of the
    /// Decision that released the version. All numbers are doubles; undefined
    /// facts are absent.
    pub fn facts(&self, reference: Option<&BTreeMap<String, f64>>) -> Map<String, Value> {
        let mut facts = Map::new();
        insert_all(&mut facts, &self.metrics);
        insert(&mut facts, "rows", Some(self.rows as f64));
        insert(&mut facts, "labelled", self.labelled());
        insert(&mut facts, "error_rate", self.error_rate());
        if let Some(latency) = &self.latency {
            let mut quantiles = Map::new();
            insert(&mut quantiles, "p50_ms", Some(latency.p50_ms));
            insert(&mut quantiles, "p99_ms", Some(latency.p99_ms));
            facts.insert("latency".to_owned(), Value::Object(quantiles));
        }
        if let Some(drift) = &self.drift {
            facts.insert("drift".to_owned(), Value::Object(drift_facts(drift)));
        }
        if let Some(reference) = reference {
            let mut measures = Map::new();
            insert_all(&mut measures, reference);
            facts.insert("reference".to_owned(), Value::Object(measures));
        }
        facts
    }
}

fn drift_facts(drift: &Drift) -> Map<String, Value> {
    let mut facts = Map::new();
    insert(&mut facts, "share", drift.share);
    insert(&mut facts, "score", drift.score());
    let mut features = Map::new();
    for feature in &drift.features {
        insert(&mut features, &feature.name, feature.psi);
    }
    facts.insert("features".to_owned(), Value::Object(features));
    facts
}

fn insert_all(facts: &mut Map<String, Value>, measures: &BTreeMap<String, f64>) {
    for (name, &value) in measures {
        insert(facts, name, Some(value));
    }
}

/// Inserts a number if it is defined and finite.
fn insert(facts: &mut Map<String, Value>, name: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        facts.insert(name.to_owned(), Value::from(value));
    }
}
