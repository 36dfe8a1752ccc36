//! Events of a pipeline run. Each is stored, so that followers can read it again.

use perennial_core::entity::ReleaseOutcome;
use perennial_core::name::{DatasetName, StepName};
use serde::{Deserialize, Serialize};

/// One event of a pipeline run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PipelineEvent {
    /// A load begins.
    LoadStarted {
        /// The dataset.
        dataset: DatasetName,
        /// The file, or files one a line.
        path: String,
    },
    /// A load ended.
    LoadEnded {
        /// The dataset.
        dataset: DatasetName,
        /// The file, or files one a line.
        path: String,
        /// `committed`, `held` or `unchanged`.
        state: String,
        /// Rows that entered the dataset; of a held load those that arrived, of unchanged content those that are there.
        rows: u64,
        /// Rows set aside.
        set_aside: u64,
        /// Why it is held.
        message: Option<String>,
        /// The findings of its checks, one per line.
        #[serde(default)]
        findings: Vec<String>,
    },
    /// A dataset could not be collected.
    LoadFailed {
        /// The dataset.
        dataset: DatasetName,
        /// What went wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A dataset has no rows yet, and its source finds no file.
    SourceEmpty {
        /// The dataset.
        dataset: DatasetName,
        /// The location of its source, as declared.
        files: String,
    },
    /// Files of a source may still be being written, so they are loaded later.
    SourceUnsettled {
        /// The dataset.
        dataset: DatasetName,
        /// The first of the files.
        path: String,
        /// How many files.
        files: usize,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: StepName,
        /// `sql`, `train`, `run` or `evaluate`.
        kind: String,
        /// What changed.
        why: Vec<String>,
    },
    /// A line of a step's log.
    StepLog {
        /// The step.
        step: StepName,
        /// The line.
        line: String,
    },
    /// A step ended.
    StepEnded {
        /// The step.
        step: StepName,
        /// `succeeded`, `cached`, `failed` or `skipped`.
        state: String,
        /// How long it took.
        ms: i64,
        /// What it produced, or the error.
        message: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Steps whose outputs were there already.
    Cached {
        /// How many.
        steps: usize,
    },
    /// A Decision was made about the candidate.
    Decided {
        /// `pass`, `fail` or `unknown`; absent when there is nothing to release.
        verdict: Option<String>,
        /// One line.
        message: String,
    },
    /// What a release did.
    Released {
        /// One line.
        message: String,
    },
    /// The run is over.
    Ended {
        /// Its last state.
        state: String,
        /// One line, when there is something to say.
        message: Option<String>,
        /// What to do, when it failed or loads are held.
        #[serde(default)]
        hint: Option<String>,
        /// The number of held loads whose files still exist.
        #[serde(default)]
        held: usize,
        /// The progress of the candidate's release; absent without a candidate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseOutcome>,
    },
}
