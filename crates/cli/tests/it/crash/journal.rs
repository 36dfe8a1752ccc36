//! What the client knows: what it asked for, and what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

/// The client's own record of one round.
#[derive(Default)]
pub(super) struct Journal {
    /// Files that were put in place, by day.
    pub(super) files: BTreeMap<u64, Delivered>,
    /// Keys that were sent with requests: all below this.
    pub(super) keys_asked: u64,
    /// Keys of requests whose fate was looked up after an earlier kill: all below this.
    pub(super) keys_settled: u64,
    /// Acknowledged predictions whose fate was not looked up yet, by key.
    pub(super) predictions: BTreeMap<u64, Predicted>,
    /// Predictions acknowledged so far.
    pub(super) predictions_acknowledged: u64,
    /// Rows of predictions that are known to be there, acknowledged or not.
    pub(super) predictions_there: u64,
    /// Pipeline runs that were acknowledged, and whether they are known to have ended.
    pub(super) runs: BTreeMap<String, bool>,
    /// Requests for pipeline runs that were sent.
    pub(super) runs_asked: u64,
    /// Attempts at steps that a kill cut off.
    pub(super) attempts_interrupted: BTreeSet<String>,
    /// Pipeline runs that a kill cut off and that went on.
    pub(super) runs_resumed: BTreeSet<String>,
    /// Promotions by id, oldest first, as they were found after the last kill.
    pub(super) promotions: Vec<String>,
    /// Rollbacks acknowledged since.
    pub(super) moves: Vec<Move>,
    /// Rollbacks asked for since.
    pub(super) moves_asked: u64,
    /// Rollbacks acknowledged so far.
    pub(super) moves_acknowledged: u64,
    /// Tracked runs that were acknowledged.
    pub(super) tracked: Vec<Tracked>,
    /// Loads of orders by id, with the number of the version they are in, as found after the last kill.
    pub(super) loads: BTreeMap<String, i64>,
    /// Held loads whose release was acknowledged.
    pub(super) releases: BTreeSet<String>,
    /// The ledger's head, as it was told.
    pub(super) head: Option<String>,
}

/// A file that was put in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivered {
    /// Rows it holds.
    pub(super) rows: u64,
    /// What is known of its load.
    pub(super) enters: Enters,
}

/// Whether a file's rows enter the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enters {
    /// By the next pipeline run at the latest.
    Surely,
    /// Not while it is held.
    Not,
    /// A release was asked for and not answered.
    Maybe,
}

/// One answered row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Predicted {
    /// `<request>-<row>`.
    pub(super) id: String,
    /// The version that answered.
    pub(super) version: i64,
    /// As champion or canary.
    pub(super) part: String,
    /// What it answered.
    pub(super) score: f64,
}

/// A rollback: the champion's from one version to another, or the end of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    /// The version that answered.
    pub(super) from: i64,
    /// The version that answers instead; none where a canary ended.
    pub(super) to: Option<i64>,
}

/// A run that logs batches, and single points in between.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    pub(super) id: String,
    /// Batches sent; the last one may be unanswered.
    pub(super) batches_asked: u64,
    pub(super) batches_acknowledged: u64,
    pub(super) points_asked: u64,
    pub(super) points_acknowledged: u64,
}

impl Journal {
    /// Everything that has to be there, by kind.
    pub(super) fn owed(&self) -> [(&'static str, u64); 6] {
        let batches = self.tracked.iter().map(|run| run.batches_acknowledged + run.points_acknowledged).sum();
        [
            ("predictions acknowledged", self.predictions_acknowledged),
            ("tracking writes acknowledged", batches),
            ("rollbacks acknowledged", self.moves_acknowledged),
            ("pipeline runs acknowledged", self.runs.len() as u64),
            ("releases of held loads acknowledged", self.releases.len() as u64),
            ("files delivered", self.files.len() as u64),
        ]
    }
}
