//! Decisions: results of the gates for a candidate.

use serde_json::Value;

use crate::id::{DecisionId, EvidenceId, ModelId, PipelineRunId, ProjectId};
use crate::rule::Verdict;

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// The project.
    pub project_id: ProjectId,
    /// The pipeline run that asked for it.
    pub pipeline_run_id: Option<PipelineRunId>,
    /// The evidence it was evaluated over.
    pub evidence_id: EvidenceId,
    /// The release it is about.
    pub release_digest: String,
    /// The registered model.
    pub model_id: ModelId,
    /// The candidate's number.
    pub number: i64,
    /// The champion's number, if there was one.
    pub champion_number: Option<i64>,
    /// The result.
    pub verdict: Verdict,
    /// Each gate: expression, facts read, verdict, as JSON.
    pub body: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
