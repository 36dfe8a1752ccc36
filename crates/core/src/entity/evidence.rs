//! Evidence: the facts that gates are evaluated over.

use serde_json::Value;

use crate::id::{EvidenceId, PipelineRunId, ProjectId, StepRunId};

/// Facts measured by one `evaluate` step.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// The project.
    pub project_id: ProjectId,
    /// The pipeline run that gathered it.
    pub pipeline_run_id: PipelineRunId,
    /// The `evaluate` step that measured it.
    pub step_run_id: StepRunId,
    /// The release it is about.
    pub release_digest: Option<String>,
    /// The facts.
    pub body: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Project clock at which it expires.
    pub expires_project_ms: i64,
}
