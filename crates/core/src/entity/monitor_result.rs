//! Results of monitors by window, and the references they are compared with.

use serde_json::Value;

use crate::id::ProjectId;
use crate::name::MonitorName;
use crate::text_enum::text_enum;

text_enum! {
    /// Subject of a monitor result.
    MonitorResultKind, "monitor result kind" {
        /// Inputs and scores.
        Inputs = "inputs",
        /// Quality against outcomes.
        Quality = "quality",
    }
}

/// Facts about one version in one window. A later evaluation adds a revision and changes none.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorResult {
    /// The project.
    pub project_id: ProjectId,
    /// The monitor.
    pub monitor: MonitorName,
    /// Start of the window, epoch milliseconds.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// Number of the model version, if the alert or result is about one.
    pub number: i64,
    /// Its subject.
    pub kind: MonitorResultKind,
    /// Counts evaluations of the same window, from 1.
    pub revision: i64,
    /// The facts, JSON.
    pub facts: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}

/// The baseline of a release for its monitors, fixed when it was released.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorReference {
    /// The project.
    pub project_id: ProjectId,
    /// The release.
    pub release_digest: String,
    /// Distributions and metrics, JSON.
    pub body: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
}
