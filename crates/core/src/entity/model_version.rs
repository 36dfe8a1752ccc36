//! Versions of registered models.

use serde_json::Value;

use crate::id::{ModelId, ProjectId, RunId, StepRunId};
use crate::state::ModelVersionState;

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// The model.
    pub model_id: ModelId,
    /// Its number, from 1, never reused.
    pub number: i64,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Origin of its files, as the client stated it.
    pub source: String,
    /// The run that made it.
    pub run_id: Option<RunId>,
    /// The attempt at a step that made it.
    pub step_run_id: Option<StepRunId>,
    /// Digest of its files.
    pub content_digest: Option<String>,
    /// Its inputs and outputs, JSON.
    pub signature: Option<Value>,
    /// Format of its files: `onnx`, `sklearn`, ….
    pub flavor: Option<String>,
    /// Path, blob digest and size of each file.
    pub manifest: Option<Value>,
    /// Its state.
    pub state: ModelVersionState,
    /// Free text by people.
    pub description: Option<String>,
    /// The user who created it.
    pub user_id: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Wall clock of the last change, epoch milliseconds.
    pub updated_ms: i64,
}
