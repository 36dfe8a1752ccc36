//! Experiments and their tags, in MLflow's sense.

use crate::id::{ExperimentId, ProjectId};
use crate::state::Lifecycle;

/// An experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Its id.
    pub id: ExperimentId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its name, unique on the server, deleted ones included.
    pub name: String,
    /// Location of the artifacts of its runs.
    pub artifact_location: String,
    /// Whether it is deleted.
    pub lifecycle: Lifecycle,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock of the last change, epoch milliseconds.
    pub updated_ms: i64,
}

/// A key with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// An experiment to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExperiment {
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// Location of the artifacts of its runs; `None` is `<artifact_root>/<id>`.
    pub artifact_location: Option<String>,
    /// The server's artifact root, such as `mlflow-artifacts:`.
    pub artifact_root: String,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
}
