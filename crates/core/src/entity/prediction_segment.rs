//! Sealed segments of prediction logs, until their rows are in a dataset.

use crate::id::{LoadId, ProjectId};
use crate::name::EndpointName;
use crate::state::SegmentState;

/// A sealed segment.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionSegment {
    /// The log: `<project>/<endpoint>`.
    pub log: String,
    /// Its number in the log.
    pub number: i64,
    /// The project.
    pub project_id: ProjectId,
    /// The endpoint.
    pub endpoint: EndpointName,
    /// Requests in it.
    pub record_count: u64,
    /// BLAKE3 of its bytes, hex.
    pub digest: String,
    /// Its state.
    pub state: SegmentState,
    /// The load its rows became.
    pub load_id: Option<LoadId>,
    /// Number of the dataset version its rows are in.
    pub dataset_number: Option<i64>,
    /// Wall clock of its sealing, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock of its sealing, epoch milliseconds.
    pub project_ms: i64,
}
