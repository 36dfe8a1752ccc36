//! The prediction log: an append-only segment on disk before the answer.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::frame::Frame;
use crate::id::RequestId;
use crate::model::Scores;

/// Which part a version played when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It was the champion.
    Champion,
    /// It was the canary.
    Canary,
}

/// One answered (or failed) request, about to be logged.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The request; a row's prediction id is `<request>-<row>`.
    pub request: RequestId,
    /// Number of the model version that answered.
    pub version: i64,
    /// As champion or canary.
    pub part: Part,
    /// HTTP status of the answer.
    pub status: u16,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Time from request to answer, microseconds.
    pub latency_us: u64,
    /// The inputs as the model saw them, plus the key columns if they came.
    pub inputs: &'a Frame,
    /// The scores; `None` when the request failed.
    pub scores: Option<&'a Scores>,
}

/// How soon a record must be beyond a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Written before the answer, synced every 100 ms.
    Logged,
    /// Synced before the answer.
    Recorded,
}

/// A closed segment, ready to become rows of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The endpoint's log it belongs to.
    pub log: String,
    /// Its number, counting up from 1 without holes.
    pub number: i64,
    /// Whole records in it.
    pub records: u64,
    /// BLAKE3 of its bytes, hex.
    pub digest: String,
}

/// Logs of predictions, one a log name (`<project>/<endpoint>`).
pub trait PredictionLog: Send + Sync {
    /// Appends one request. On return the bytes are written (and synced, if recorded).
    fn append(&self, log: &str, record: Answered<'_>, durability: Durability) -> Result<()>;

    /// Closes the open segment of a log if it holds anything, and tells every closed
    /// segment that was not removed yet, oldest first. A torn tail left by a crash is cut off.
    fn seal(&self, log: &str) -> Result<Vec<Segment>>;

    /// A closed segment's rows as JSON lines: `prediction_id`, `request_id`, `row`, `version`, `part`,
    /// `status`, `wall_ms`, `project_ms`, `latency_us`, the inputs by column name prefixed `in_`,
    /// scores as `score` (or `score_<class index>`).
    fn rows(&self, segment: &Segment) -> Result<Vec<u8>>;

    /// Removes a closed segment whose rows are in the dataset.
    fn remove(&self, segment: &Segment) -> Result<()>;
}
