//! Runs: one execution each, with params, tags, metrics and inputs, in MLflow's sense.

use super::{MetricPoint, Tag};
use crate::id::{ExperimentId, ProjectId, RunId};
use crate::state::{Lifecycle, RunStatus};

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub run_id: RunId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its experiment.
    pub experiment_id: ExperimentId,
    /// The parent run.
    pub parent_run_id: Option<RunId>,
    /// Its name.
    pub name: String,
    /// The user who started it, reported by the client.
    pub user_id: String,
    /// Its state.
    pub status: RunStatus,
    /// Whether it is deleted.
    pub lifecycle: Lifecycle,
    /// Start, epoch milliseconds, reported by the client.
    pub start_ms: i64,
    /// End, epoch milliseconds.
    pub end_ms: Option<i64>,
    /// Location of its artifacts.
    pub artifact_uri: String,
    /// Wall clock when it was deleted.
    pub deleted_ms: Option<i64>,
    /// Wall clock when its metrics and params last entered the ledger.
    pub sealed_ms: Option<i64>,
    /// Number that clusters the rows kept for the run; internal to the store.
    pub number: i64,
}

/// A run to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its id.
    pub run_id: RunId,
    /// Its experiment, which determines the project.
    pub experiment_id: ExperimentId,
    /// The parent run.
    pub parent_run_id: Option<RunId>,
    /// Its name.
    pub name: String,
    /// The user who starts it.
    pub user_id: String,
    /// Its state.
    pub status: RunStatus,
    /// Start, epoch milliseconds.
    pub start_ms: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Changes to a run; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunUpdate {
    /// Its status.
    pub status: Option<RunStatus>,
    /// End, epoch milliseconds.
    pub end_ms: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// A param of a run: written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Metrics, params and tags that are logged atomically.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunBatch {
    /// Points of metrics.
    pub metrics: Vec<MetricPoint>,
    /// Params.
    pub params: Vec<Param>,
    /// Tags; the last of several with one key is stored.
    pub tags: Vec<Tag>,
}
