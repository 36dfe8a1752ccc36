//! Projects and the project files submitted to them.

use crate::id::{ExperimentId, ProjectId};
use crate::name::ProjectName;

/// A project.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique on the server.
    pub name: ProjectName,
    /// The experiment of its name.
    pub experiment_id: ExperimentId,
    /// Digest of the project file last submitted.
    pub file_digest: Option<String>,
    /// Position of its stepped clock, epoch milliseconds; `None` follows the wall clock.
    pub clock_ms: Option<i64>,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}

/// A project file as it was submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectFile {
    /// The project.
    pub project_id: ProjectId,
    /// BLAKE3 of the text, hex.
    pub digest: String,
    /// The text.
    pub body: String,
    /// Wall clock, epoch milliseconds.
    pub submitted_ms: i64,
    /// Who submitted it first.
    pub submitted_by: String,
    /// The first approver who submitted it, released it or approved a release of it; `None` while there is none.
    pub approver: Option<String>,
}

/// A project to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Location of the artifacts of its experiment: `<root>/<experiment id>`, such as `mlflow-artifacts:`.
    pub artifact_root: String,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
