//! What one window showed of one version, and the facts alerts are judged over.

use std::collections::BTreeMap;

use perennial_core::calendar::Window;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::drift::Drift;
use crate::latency::Latency;

/// What one version of a model showed in one window. Undefined parts are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowResult {
    /// The model version that answered.
    pub version: String,
    /// The window, by prediction time on the project clock.
    pub window: Window,
    /// Rows it answered.
    pub rows: u64,
    /// Those of them whose outcome is known.
    pub labelled_rows: u64,
    /// Measures over the labelled rows, by name.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// How far inputs and scores are from the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// How quickly requests were answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Requests it was given.
    pub requests: u64,
    /// Those of them that it failed to answer (5xx).
    pub errors: u64,
}

impl WindowResult {
    /// The share of rows whose outcome is known; absent without rows.
    pub fn labelled(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.labelled_rows as f64 / self.rows as f64)
    }

    /// The share of requests that failed; absent without requests.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// The facts of an alert: this window's measures by name, `rows`,
    /// `labelled`, `drift` (`share`, `score`, `features` by name: population
    /// stability indices), `latency`, `error_rate`; and `reference`, the
    /// measures of the Decision that released the version. All numbers are
    /// doubles, and what is undefined is absent.
    pub fn facts(&self, reference: Option<&BTreeMap<String, f64>>) -> Map<String, Value> {
        let mut facts = Map::new();
        put_all(&mut facts, &self.metrics);
        put(&mut facts, "rows", Some(self.rows as f64));
        put(&mut facts, "labelled", self.labelled());
        put(&mut facts, "error_rate", self.error_rate());
        if let Some(latency) = &self.latency {
            let mut quantiles = Map::new();
            put(&mut quantiles, "p50_ms", Some(latency.p50_ms));
            put(&mut quantiles, "p99_ms", Some(latency.p99_ms));
            facts.insert("latency".to_owned(), Value::Object(quantiles));
        }
        if let Some(drift) = &self.drift {
            facts.insert("drift".to_owned(), Value::Object(drift_facts(drift)));
        }
        if let Some(reference) = reference {
            let mut measures = Map::new();
            put_all(&mut measures, reference);
            facts.insert("reference".to_owned(), Value::Object(measures));
        }
        facts
    }
}

fn drift_facts(drift: &Drift) -> Map<String, Value> {
    let mut facts = Map::new();
    put(&mut facts, "share", drift.share);
    put(&mut facts, "score", drift.score());
    let mut features = Map::new();
    for feature in &drift.features {
        put(&mut features, &feature.name, feature.psi);
    }
    facts.insert("features".to_owned(), Value::Object(features));
    facts
}

fn put_all(facts: &mut Map<String, Value>, measures: &BTreeMap<String, f64>) {
    for (name, &value) in measures {
        put(facts, name, Some(value));
    }
}

/// Puts a double that is defined.
fn put(facts: &mut Map<String, Value>, name: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        facts.insert(name.to_owned(), Value::from(value));
    }
}
