//! Attempts at steps and their outputs.

use serde_json::Value;

use crate::id::{PipelineRunId, ProjectId, RunId, StepRunId};
use crate::name::StepName;
use crate::state::StepRunState;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of output of a step.
    StepOutputKind, "step output kind" {
        /// A version of a dataset.
        Dataset = "dataset",
        /// A model.
        Model = "model",
        /// A file or folder.
        File = "file",
        /// A report of `evaluate`.
        Report = "report",
    }
}

/// One attempt at a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Its id.
    pub id: StepRunId,
    /// The project.
    pub project_id: ProjectId,
    /// The pipeline run it is part of.
    pub pipeline_run_id: PipelineRunId,
    /// The step.
    pub step: StepName,
    /// Which attempt, from 1.
    pub attempt: i64,
    /// Its state.
    pub state: StepRunState,
    /// The digest of everything it depends on.
    pub cache_key: String,
    /// The components of the cache key, JSON, shown by `why`.
    pub key_parts: Value,
    /// The attempt whose outputs are reused.
    pub reused_from: Option<StepRunId>,
    /// Its tracked run.
    pub run_id: Option<RunId>,
    /// The runner that executed it.
    pub runner: Option<String>,
    /// How it ended.
    pub exit: Option<Value>,
    /// Peak resident memory, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// `landlock` with its version, or `none`.
    pub isolation: Option<String>,
    /// Why it failed or was skipped.
    pub message: Option<String>,
    /// The blob with its log.
    pub log_digest: Option<String>,
    /// Wall clock, epoch milliseconds.
    pub started_ms: Option<i64>,
    /// Wall clock, epoch milliseconds.
    pub ended_ms: Option<i64>,
}

/// An output of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The attempt.
    pub step_run_id: StepRunId,
    /// The output's name.
    pub name: String,
    /// Its kind.
    pub kind: StepOutputKind,
    /// Digest of its content.
    pub digest: String,
    /// Its location: a dataset version, or blob digest and manifest, JSON.
    pub reference: Value,
}

/// How an attempt ended and the resources it used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepOutcome {
    /// How it ended.
    pub exit: Option<Value>,
    /// Peak resident memory, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// `landlock` with its version, or `none`.
    pub isolation: Option<String>,
    /// Why it failed or was skipped.
    pub message: Option<String>,
    /// The blob with its log.
    pub log_digest: Option<String>,
}
