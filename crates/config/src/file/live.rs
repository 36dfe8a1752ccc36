//! `[endpoints.*]`, `[monitors.*]`, `[triggers.*]`.

use std::collections::BTreeMap;

use perennial_core::calendar::Duration;
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::Durability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::size::Size;

/// An address at which the champion answers. Taken out of the file it answers no more, from the file's next submission on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointTable {
    /// How a new version is tried on a share of the requests before it becomes champion; at once if not said. Taken out while one is tried, that one ends and the champion stays.
    pub canary: Option<CanaryTable>,
    /// `logged` keeps predictions through the end of the process, `recorded` through power loss, too.
    #[serde(default = "logged")]
    #[schemars(schema_with = "schema::durability")]
    pub log: Durability,
    /// The largest request taken, before and after it is decompressed; 16 MB if not said, 32 MiB at most.
    #[serde(default = "sixteen_megabytes")]
    #[schemars(schema_with = "schema::size")]
    pub max_body: Size,
}

/// How a new version is tried.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryTable {
    /// Share of the requests it answers, above 0 and below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// How long it is tried at least.
    #[serde(rename = "for")]
    #[schemars(schema_with = "schema::duration")]
    pub lasting: Duration,
    /// Requests it must have answered; 1 if not said.
    #[serde(default = "one")]
    pub min_requests: u64,
    /// When it is taken back: CEL over `canary.*` and `champion.*`; never by itself if not said.
    pub rollback: Option<String>,
}

/// What is watched of an endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorTable {
    /// The endpoint.
    #[schemars(schema_with = "schema::name")]
    pub endpoint: EndpointName,
    /// Length of the calendar windows that are judged.
    #[schemars(schema_with = "schema::duration")]
    pub window: Duration,
    /// What raises an alert, in CEL over the window's facts, by name.
    #[serde(default)]
    pub alerts: BTreeMap<String, String>,
    /// Labelled rows from which on a window is judged; 1000 if not said.
    #[serde(default = "thousand")]
    pub min_rows: u64,
}

/// What starts the pipeline by itself.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerTable {
    /// Events: `alert:<monitor>.<alert>`, `dataset:<name>`, `schedule:<cron>`.
    pub on: Vec<String>,
    /// What is started.
    pub run: Start,
}

/// What a trigger starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The pipeline, up to Decisions; nothing live changes.
    Run,
    /// The pipeline, and the release if it passes.
    Release,
}

fn logged() -> Durability {
    Durability::Logged
}

fn sixteen_megabytes() -> Size {
    Size::from_bytes(16_000_000)
}

fn one() -> u64 {
    1
}

fn thousand() -> u64 {
    1_000
}
