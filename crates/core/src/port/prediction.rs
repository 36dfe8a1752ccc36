//! The prediction log: append-only segments on disk, written before the answer.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::frame::Frame;
use crate::id::RequestId;
use crate::model::Scores;
use crate::port::data::ValueColumn;

/// The role in which a model version answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficRole {
    /// The version in production.
    Champion,
    /// The version on trial with a share of the traffic.
    Canary,
    /// The champion, instead of the canary that the request was routed to: its inputs did not fit the canary.
    Fallback,
}

impl TrafficRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Champion, Self::Canary, Self::Fallback];

    /// The role's name in records and URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Canary => "canary",
            Self::Fallback => "fallback",
        }
    }
}

/// One request with its answer or failure, to be logged.
#[derive(Debug, Clone, Copy)]
pub struct PredictionRecord<'a> {
    /// The request; a row's prediction id is `<request>-<row>`.
    pub request: RequestId,
    /// Number of the model version that answered.
    pub version: i64,
    /// The version's role.
    pub role: TrafficRole,
    /// HTTP status of the answer.
    pub status: u16,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Time from request to answer, microseconds.
    pub latency_us: u64,
    /// The inputs as the model received them, and the key columns of the request.
    pub inputs: &'a Frame,
    /// The scores; `None` when the request failed.
    pub scores: Option<&'a Scores>,
}

/// When a record is synced to disk, and so survives a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durability {
    /// Written before the answer, synced within 100 ms. In the project file: `logged`.
    #[serde(rename = "logged")]
    Batched,
    /// Synced before the answer. In the project file: `recorded`.
    #[serde(rename = "recorded")]
    Synced,
}

/// A closed segment's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Number of records.
    pub records: u64,
    /// BLAKE3 of its bytes, hex.
    pub digest: String,
    /// Its rows: `prediction_id`, `request_id`, `row`, `version`, `part` (the role), `status`, `wall_ms`,
    /// `project_ms`, `latency_us`, the inputs by column name prefixed `in_`, scores as `score` (or
    /// `score_<class index>`). An input logged both as numbers and as text gives two columns of the same name.
    pub columns: Vec<ValueColumn>,
}

/// The position of an appended record in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Number of the segment.
    pub segment: i64,
    /// Where the record ends in the segment, bytes from its start.
    pub end_bytes: u64,
}

/// What waits in a log to be loaded into its dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Bytes of the segments that have records.
    pub bytes: u64,
    /// Wall clock of the oldest record, epoch milliseconds; `None` when nothing waits. Records that an earlier server
    /// wrote count as written at 0.
    pub oldest_ms: Option<i64>,
}

/// Prediction logs by name (`<project>/<endpoint>`).
#[async_trait]
pub trait PredictionLog: Send + Sync {
    /// Appends one request: on return its bytes are written, and they are synced to disk within 100 ms. Does not
    /// wait for a sync, so a thread that answers HTTP may call it.
    fn append(&self, log: &str, record: PredictionRecord<'_>) -> Result<LogPosition>;

    /// Syncs the log to disk up to `position`. Blocks no thread; callers that wait at the same time share one sync.
    async fn sync(&self, log: &str, position: LogPosition) -> Result<()>;

    /// Closes the log's open segment unless it is empty, and syncs it. Returns the numbers of all closed segments
    /// that were not removed yet, in ascending order. Numbers start at 1 and are never reused. The torn tail that
    /// a crash left is cut off. Blocks on the disk.
    fn seal(&self, log: &str) -> Result<Vec<i64>>;

    /// What waits in a log. Blocks on the disk the first time.
    fn backlog(&self, log: &str) -> Result<Backlog>;

    /// Reads a closed segment. Blocks on the disk.
    fn read(&self, log: &str, number: i64) -> Result<Segment>;

    /// The rows of a request that is still in the log, in the columns of [`Segment::columns`]; `None` when it is not. A
    /// segment that cannot be decoded is searched up to its damage. Changes nothing. Blocks on the disk.
    fn find(&self, log: &str, request: RequestId) -> Result<Option<Vec<ValueColumn>>>;

    /// Removes a closed segment after its rows were committed to the dataset. Removing a missing segment
    /// succeeds. Blocks on the disk.
    fn remove(&self, log: &str, number: i64) -> Result<()>;
}
