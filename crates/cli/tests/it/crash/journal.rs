//! The journal of the clients: requests that were sent, and those that were acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::heights::Heights;

/// The journal of one project.
#[derive(Default)]
pub(super) struct Journal {
    /// Delivered files by day.
    pub(super) files: BTreeMap<u64, Delivered>,
    /// Keys that were sent with requests: all keys below this number.
    pub(super) keys_sent: u64,
    /// Keys whose predictions were compared after an earlier kill: all keys below this number.
    pub(super) keys_compared: u64,
    /// Acknowledged predictions that were not compared yet, by key.
    pub(super) predictions: BTreeMap<u64, Predicted>,
    /// Predictions acknowledged so far.
    pub(super) predictions_acknowledged: u64,
    /// Rows of the compared predictions, acknowledged or not.
    pub(super) predictions_found: u64,
    /// Pipeline runs that were acknowledged, and whether they are known to have ended.
    pub(super) runs: BTreeMap<String, bool>,
    /// Requests for pipeline runs that were sent.
    pub(super) runs_sent: u64,
    /// Requests that failed because a worker was killed.
    pub(super) requests_failed: u64,
    /// Pipeline runs that failed because a worker was killed.
    pub(super) runs_failed: BTreeSet<String>,
    /// Attempts of steps that a kill interrupted.
    pub(super) attempts_interrupted: BTreeSet<String>,
    /// Attempts of steps whose process was killed beside the server.
    pub(super) attempts_killed: BTreeSet<String>,
    /// Pipeline runs that a kill interrupted and that were resumed.
    pub(super) runs_resumed: BTreeSet<String>,
    /// The ids of the promotions after the last kill, oldest first.
    pub(super) promotions: Vec<String>,
    /// Rollbacks that were acknowledged since then.
    pub(super) moves: Vec<Move>,
    /// Rollbacks that were sent since then.
    pub(super) moves_sent: u64,
    /// Rollbacks acknowledged so far.
    pub(super) moves_acknowledged: u64,
    /// Tracked runs that were acknowledged.
    pub(super) tracked: Vec<Tracked>,
    /// The committed loads of `orders` after the last kill, by id, with the number of their version.
    pub(super) loads: BTreeMap<String, i64>,
    /// Held loads whose acceptance was acknowledged.
    pub(super) accepted: BTreeSet<String>,
    /// Predictions of the second project.
    pub(super) heights: Heights,
    /// The last head of the ledger.
    pub(super) head: Option<String>,
}

/// A delivered file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivered {
    /// The number of its rows.
    pub(super) rows: u64,
    /// Whether its rows must be in the dataset.
    pub(super) enters: Enters,
}

/// Whether a file's rows enter the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enters {
    /// They are in the dataset after the next pipeline run.
    Yes,
    /// They are not in the dataset, because the load is held.
    No,
    /// Unknown: the acceptance was sent and not acknowledged.
    Unknown,
}

/// One answered row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Predicted {
    /// `<request>-<row>`.
    pub(super) id: String,
    /// The version that answered.
    pub(super) version: i64,
    /// The role of the version: champion or canary.
    pub(super) role: String,
    /// The score.
    pub(super) score: f64,
}

/// A rollback: the champion's from one version to another, or the end of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    /// The version before.
    pub(super) from: i64,
    /// The version after; `None` if a canary ended.
    pub(super) to: Option<i64>,
}

/// A run that logs batches, and single points in between.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    pub(super) id: String,
    /// Batches that were sent; the last one may be unacknowledged.
    pub(super) batches_sent: u64,
    pub(super) batches_acknowledged: u64,
    pub(super) points_sent: u64,
    pub(super) points_acknowledged: u64,
}

impl Journal {
    /// The number of acknowledged things by kind, which must all be present.
    pub(super) fn acknowledged(&self) -> [(&'static str, u64); 7] {
        let batches = self.tracked.iter().map(|run| run.batches_acknowledged + run.points_acknowledged).sum();
        [
            ("predictions acknowledged", self.predictions_acknowledged),
            ("predictions by ONNX Runtime acknowledged", self.heights.acknowledged),
            ("tracking writes acknowledged", batches),
            ("rollbacks acknowledged", self.moves_acknowledged),
            ("pipeline runs acknowledged", self.runs.len() as u64),
            ("accepted held loads acknowledged", self.accepted.len() as u64),
            ("files delivered", self.files.len() as u64),
        ]
    }
}
