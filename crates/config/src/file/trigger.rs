//! `[triggers.*]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Events that start the pipeline, and whether it ends with a release.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerTable {
    /// Events: `alert:<monitor>.<alert>`, `dataset:<name>`, `schedule:<cron>`.
    pub on: Vec<String>,
    /// What is started: `run` or `release`.
    pub run: Start,
}

/// What a trigger starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The pipeline, up to its decisions; no endpoint or alias changes.
    Run,
    /// The pipeline, and the release if its gates pass.
    Release,
}
