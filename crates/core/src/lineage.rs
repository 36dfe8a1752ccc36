//! Lineage: a graph whose edges lead from an origin to what was made from it.

use crate::text_enum::text_enum;

text_enum! {
    /// Kind of lineage node.
    NodeKind, "lineage node kind" {
        /// A file of a source: `<dataset name>/<path>@<content digest>`.
        SourceFile = "source_file",
        /// A load, by id.
        Load = "load",
        /// A dataset version: `<dataset id>@<number>`.
        DatasetVersion = "dataset_version",
        /// An attempt at a step, by id.
        StepRun = "step_run",
        /// A tracked run, by id.
        Run = "run",
        /// A code snapshot, by digest.
        Code = "code",
        /// An environment, by digest.
        Environment = "environment",
        /// A model version: `<model id>@<number>`.
        ModelVersion = "model_version",
        /// Evidence, by id.
        Evidence = "evidence",
        /// A decision, by id.
        Decision = "decision",
        /// A release, by digest.
        Release = "release",
        /// A promotion, by id.
        Promotion = "promotion",
        /// An endpoint, by name.
        Endpoint = "endpoint",
        /// A segment of a prediction log: `<log>/<number>`.
        PredictionSegment = "prediction_segment",
        /// A monitor's result: `<monitor>/<window start>/<version>/<kind>/<revision>`.
        MonitorResult = "monitor_result",
        /// An alert, by id.
        Alert = "alert",
        /// A pipeline run, by id.
        PipelineRun = "pipeline_run",
    }
}

/// One end of an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Its kind.
    pub kind: NodeKind,
    /// Its identity, in the form that its kind defines.
    pub id: String,
}

impl Node {
    /// A node.
    pub fn new(kind: NodeKind, id: impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }
}

/// States that the `to` node was made from the `from` node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// Kind of the origin.
    pub from_kind: NodeKind,
    /// Identity of the origin.
    pub from_id: String,
    /// Kind of the result.
    pub to_kind: NodeKind,
    /// Identity of the result.
    pub to_id: String,
}
