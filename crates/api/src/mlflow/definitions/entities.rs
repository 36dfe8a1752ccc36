//! Messages that several calls share.

use perennial_core::id::{ExperimentId, RunId};
use perennial_core::state::{Lifecycle, RunStatus};
use serde::Serialize;

use crate::mlflow::message::{Number, message, names};

message! {
    /// A message without fields.
    Empty {}

    /// A tag or the tag of a dataset input.
    Tag { key: String, value: Option<String> }

    /// A param.
    Param { key: String, value: Option<String> }

    /// A point of a metric; `timestamp` in epoch milliseconds.
    Metric { key: String, value: Number, timestamp: i64, step: Option<i64> }

    /// An experiment; times in epoch milliseconds.
    Experiment {
        experiment_id: ExperimentId,
        name: String,
        artifact_location: String,
        lifecycle_stage: Lifecycle,
        creation_time: i64,
        last_update_time: i64,
        workspace: String,
        tags: Vec<Tag>,
    }

    /// A run with what it logged.
    Run { info: RunInfo, data: RunData, inputs: RunInputs, outputs: Empty }

    /// A run; times in epoch milliseconds, `run_uuid` equal to `run_id`.
    RunInfo {
        run_id: RunId,
        run_uuid: RunId,
        run_name: String,
        experiment_id: ExperimentId,
        user_id: String,
        status: RunStatus,
        start_time: i64,
        end_time: Option<i64>,
        artifact_uri: String,
        lifecycle_stage: Lifecycle,
    }

    /// The latest point of each metric, the params and the tags of a run.
    RunData { metrics: Vec<Metric>, params: Vec<Param>, tags: Vec<Tag> }

    /// The inputs of a run.
    RunInputs { dataset_inputs: Vec<DatasetInput> }

    /// A dataset that a run read.
    DatasetInput { dataset: Dataset, tags: Vec<Tag> }

    /// A dataset as the client describes it.
    Dataset {
        name: String,
        digest: String,
        source_type: String,
        source: String,
        schema: Option<String>,
        profile: Option<String>,
    }

    /// A file or folder of a listing; `file_size` in bytes, absent for a folder.
    FileInfo { path: String, is_dir: bool, file_size: Option<i64> }
}

/// Which experiments or runs a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::mlflow) enum ViewType {
    /// Those that are not deleted.
    #[serde(rename = "ACTIVE_ONLY")]
    ActiveOnly,
    /// Those that are deleted.
    #[serde(rename = "DELETED_ONLY")]
    DeletedOnly,
    /// Both.
    #[serde(rename = "ALL")]
    All,
}

names! { ViewType { "ACTIVE_ONLY" = 1 => ActiveOnly, "DELETED_ONLY" = 2 => DeletedOnly, "ALL" = 3 => All } }

names! {
    RunStatus {
        "RUNNING" = 1 => Running, "SCHEDULED" = 2 => Scheduled, "FINISHED" = 3 => Finished,
        "FAILED" = 4 => Failed, "KILLED" = 5 => Killed,
    }
}

names! { Lifecycle { "active" = 1 => Active, "deleted" = 2 => Deleted } }
