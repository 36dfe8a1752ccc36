//! Results of checks and column profiles, one set for each load.

use serde_json::Value;

use crate::id::{DatasetId, LoadId, ProjectId};
use crate::port::data::Severity;
use crate::rule::Verdict;

/// The outcome of one check over one load.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// The load.
    pub load_id: LoadId,
    /// The check.
    pub name: String,
    /// The project.
    pub project_id: ProjectId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Severity of a failure.
    pub severity: Severity,
    /// The outcome.
    pub verdict: Verdict,
    /// Counts and values from the scan, JSON.
    pub answer: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
}

/// Column profiles of the rows of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The load.
    pub load_id: LoadId,
    /// The project.
    pub project_id: ProjectId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// The columns.
    pub body: Value,
}
