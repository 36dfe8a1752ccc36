//! Decisions: results of the gates for a candidate.

use serde::{Deserialize, Serialize};

use crate::id::{DecisionId, EvidenceId, ModelId, PipelineRunId, ProjectId};
use crate::release::ReleaseContent;
use crate::rule::{Evaluation, Verdict};

#[cfg(test)]
mod tests;

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
    /// The gates and what they were evaluated over.
    pub body: DecisionBody,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}

/// The gates of a decision and what they were evaluated over. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionBody {
    /// The gates, ordered by name.
    pub gates: Vec<GateResult>,
    /// Features that leak the target, each with the reason; without those that the task allows.
    pub leaks: Vec<(String, String)>,
    /// What makes the evidence doubtful without refusing the candidate, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Features that alone predict the target almost, each with the reason; without those that the task allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strong_features: Vec<(String, String)>,
    /// The evidence.
    pub evidence: EvidenceId,
    /// The contents of the release.
    pub content: ReleaseContent,
}

impl DecisionBody {
    /// The leaks and the strong features as lines for people, each with its remedy.
    pub fn feature_lines(&self) -> Vec<String> {
        let leaks = self.leaks.iter().map(|(feature, reason)| {
            format!("leak: {reason} Add `{feature}` to `[task] ignore`, or to `[task] allow` if requests have it")
        });
        let strong = self.strong_features.iter().map(|(feature, reason)| {
            format!("warning: {reason} If so, add `{feature}` to `[task] allow`, else to `[task] ignore`")
        });
        leaks.chain(strong).collect()
    }
}

/// The result of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate's name.
    pub gate: String,
    /// Its expression, as written.
    pub expression: String,
    /// The verdict, with the facts read. Stores of the first release have it under another key.
    #[serde(alias = "judgement")]
    pub evaluation: Evaluation,
}
