//! `[monitors.*]`.

use std::collections::BTreeMap;

use perennial_core::calendar::WindowLength;
use perennial_core::name::EndpointName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value_schema;

/// What is monitored at an endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorTable {
    /// The endpoint.
    #[schemars(schema_with = "value_schema::name")]
    pub endpoint: EndpointName,
    /// Length of the calendar windows that are evaluated.
    #[schemars(schema_with = "value_schema::window_length")]
    pub window: WindowLength,
    /// Alerts by name: conditions in CEL over the window's facts.
    #[serde(default)]
    pub alerts: BTreeMap<String, String>,
    /// The number of labelled rows that a window needs for its alerts; default 1000.
    #[serde(default = "thousand")]
    pub min_rows: u64,
}

fn thousand() -> u64 {
    1_000
}
