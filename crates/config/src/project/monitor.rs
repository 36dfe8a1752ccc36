//! Monitors of endpoints.

use std::collections::BTreeMap;

use perennial_core::calendar::WindowLength;
use perennial_core::name::EndpointName;
use perennial_core::rule::Expression;

/// What is monitored at an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// Length of the calendar windows.
    pub window: WindowLength,
    /// Alerts by name, each with its condition.
    pub alerts: BTreeMap<String, Expression>,
    /// The number of labelled rows that a window needs for its alerts.
    pub min_rows: u64,
}
