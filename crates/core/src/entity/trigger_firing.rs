//! Firings of triggers: once for each cause.

use crate::id::{PipelineRunId, ProjectId};
use crate::name::TriggerName;

/// A firing.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerFiring {
    /// The project.
    pub project_id: ProjectId,
    /// The trigger.
    pub trigger_name: TriggerName,
    /// Identity of its cause: alert, dataset version, scheduled instant or commit.
    pub cause_id: String,
    /// The pipeline run it started.
    pub pipeline_run_id: Option<PipelineRunId>,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
