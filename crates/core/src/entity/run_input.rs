//! Dataset inputs of runs.

use serde_json::Value;

/// A dataset read by a run, as the client describes it (MLflow's `Dataset`).
#[derive(Debug, Clone, PartialEq)]
pub struct RunInput {
    /// Its name.
    pub name: String,
    /// Its digest, as the client computes it.
    pub digest: String,
    /// Kind of its source.
    pub source_type: String,
    /// Its source.
    pub source: String,
    /// Its schema.
    pub schema: Option<String>,
    /// Its profile.
    pub profile: Option<String>,
    /// Tags of the input, an object; `mlflow.data.context` is the context.
    pub tags: Value,
}
