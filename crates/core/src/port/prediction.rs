//! The prediction log: an append-only segment on disk before the answer.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::frame::Frame;
use crate::id::RequestId;
use crate::model::Scores;
use crate::port::data::ValueColumn;

/// Which part a version played when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It was the champion.
    Champion,
    /// It was the canary.
    Canary,
    /// It was the champion, in place of the canary: that one could not take the request.
    Fallback,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Champion, Self::Canary, Self::Fallback];

    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Canary => "canary",
            Self::Fallback => "fallback",
        }
    }
}

/// One answered (or failed) request, about to be logged.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The request; a row's prediction id is `<request>-<row>`.
    pub request: RequestId,
    /// Number of the model version that answered.
    pub version: i64,
    /// The part it played.
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

/// A closed segment as it reads back.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Whole records in it.
    pub records: u64,
    /// BLAKE3 of its bytes, hex.
    pub digest: String,
    /// Its rows: `prediction_id`, `request_id`, `row`, `version`, `part`, `status`, `wall_ms`, `project_ms`,
    /// `latency_us`, the inputs by column name prefixed `in_`, scores as `score` (or `score_<class index>`).
    /// An input that came as numbers here and as text there is two columns of one name.
    pub columns: Vec<ValueColumn>,
}

/// Logs of predictions, one a log name (`<project>/<endpoint>`).
pub trait PredictionLog: Send + Sync {
    /// Appends one request. On return the bytes are written (and synced, if recorded).
    fn append(&self, log: &str, record: Answered<'_>, durability: Durability) -> Result<()>;

    /// Closes the open segment of a log if it holds anything, and tells the numbers of the closed
    /// segments that were not removed yet, oldest first. Numbers count up from 1 and are never
    /// given twice. A torn tail left by a crash is cut off.
    fn seal(&self, log: &str) -> Result<Vec<i64>>;

    /// Reads a closed segment.
    fn read(&self, log: &str, number: i64) -> Result<Segment>;

    /// Removes a closed segment whose rows are in the dataset; one that is gone already is fine.
    fn remove(&self, log: &str, number: i64) -> Result<()>;
}
