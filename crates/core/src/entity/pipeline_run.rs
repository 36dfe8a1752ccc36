//! Pipeline runs and their events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cause::Cause;
use crate::id::{PipelineRunId, ProjectId};
use crate::name::StepName;
use crate::state::PipelineRunState;
use crate::text_enum::text_enum;

text_enum! {
    /// Goal of a pipeline run.
    PipelineKind, "pipeline run kind" {
        /// Bring every step up to date.
        Run = "run",
        /// Bring every step up to date and release the candidate.
        Release = "release",
    }
}

/// Options of a pipeline run. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineOptions {
    /// Execute only these steps and the steps they depend on; every step if empty.
    #[serde(default)]
    pub steps: Vec<StepName>,
    /// Why a version that was rolled back or rejected is released again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// One execution of the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineRun {
    /// Its id.
    pub id: PipelineRunId,
    /// The project.
    pub project_id: ProjectId,
    /// Its goal.
    pub kind: PipelineKind,
    /// Its state.
    pub state: PipelineRunState,
    /// Its cause.
    pub cause: Cause,
    /// Digest of the project file it executes.
    pub file_digest: String,
    /// Options of the request.
    pub options: PipelineOptions,
    /// The server that executes it.
    pub holder: Option<String>,
    /// How it ended.
    pub message: Option<String>,
    /// Wall clock of the request, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock of the request, epoch milliseconds.
    pub project_ms: i64,
    /// Wall clock of its first start.
    pub started_ms: Option<i64>,
    /// Wall clock of its end.
    pub ended_ms: Option<i64>,
}

/// A stored event of a pipeline run.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Its position, from 1, without gaps.
    pub sequence: i64,
    /// The event, JSON.
    pub body: Value,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
}
