//! Lineage: what was made from what, forward and backward by one query each.

use perennial_core::id::ProjectId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

words! {
    /// What an edge of the lineage joins.
    NodeKind, "kind of lineage node" {
        /// A file of a source: `<dataset id>/<path>@<content digest>`.
        SourceFile = "source_file",
        /// A load, by id.
        Load = "load",
        /// A dataset version: `<dataset id>/<number>`.
        DatasetVersion = "dataset_version",
        /// An attempt at a step, by id.
        StepRun = "step_run",
        /// A tracked run, by id.
        Run = "run",
        /// A code snapshot, by digest.
        Code = "code",
        /// An environment, by digest.
        Environment = "environment",
        /// A model version: `<model id>/<number>`.
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
    /// What it is.
    pub kind: NodeKind,
    /// Which one, as its kind says.
    pub id: String,
}

impl Node {
    /// A node.
    pub fn new(kind: NodeKind, id: impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }
}

/// `to` was made from `from`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// What it was made from.
    pub from_kind: NodeKind,
    /// Which one.
    pub from_id: String,
    /// What was made.
    pub to_kind: NodeKind,
    /// Which one.
    pub to_id: String,
}

impl Record for Edge {
    const TABLE: &'static str = "lineage";
    const KEY: &'static [&'static str] = &["from_id", "to_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            from_kind: row.get("from_kind")?,
            from_id: row.get("from_id")?,
            to_kind: row.get("to_kind")?,
            to_id: row.get("to_id")?,
        })
    }
}

/// The farthest an edge may be from where a walk begins.
pub const DEPTH_MAX: i64 = 1_000;

/// The most edges a walk gives.
pub const EDGES_MAX: i64 = 10_000;

/// Records that `to` was made from `from`; twice is the same as once.
pub async fn add(tx: &mut Tx, project_id: ProjectId, from: &Node, to: &Node, at_ms: i64) -> Result<()> {
    let values = bind![project_id, from.kind, from.id, to.kind, to.id, at_ms];
    tx.execute(sql!("lineage/insert"), values).await?;
    Ok(())
}

/// Everything a thing was made from, nearest first.
pub async fn backward(conn: &mut Conn, project_id: ProjectId, of: &Node) -> Result<Vec<Edge>> {
    conn.all(sql!("lineage/backward"), bind![project_id, of.kind, of.id, DEPTH_MAX, EDGES_MAX]).await
}

/// Everything that was made from a thing, nearest first.
pub async fn forward(conn: &mut Conn, project_id: ProjectId, of: &Node) -> Result<Vec<Edge>> {
    conn.all(sql!("lineage/forward"), bind![project_id, of.kind, of.id, DEPTH_MAX, EDGES_MAX]).await
}
