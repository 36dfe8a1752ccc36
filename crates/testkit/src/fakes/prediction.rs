//! A prediction log whose syncs a test can hold.

use std::path::Path;

use async_trait::async_trait;
use perennial_core::Result;
use perennial_core::id::RequestId;
use perennial_core::port::data::ValueColumn;
use perennial_core::port::prediction::{Backlog, LogPosition, PredictionLog, PredictionRecord, Segment};
use perennial_serving::SegmentLog;
use tokio::sync::watch;

/// The log on disk, with syncs that wait while they are held.
pub struct HoldableLog {
    log: SegmentLog,
    is_held: watch::Sender<bool>,
    /// The syncs that wait.
    waiting: watch::Sender<usize>,
}

impl HoldableLog {
    /// Opens the log in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self { log: SegmentLog::open(folder)?, is_held: watch::Sender::new(false), waiting: watch::Sender::new(0) })
    }

    /// Lets syncs wait from now on.
    pub fn hold_syncs(&self) {
        self.is_held.send_replace(true);
    }

    /// Lets the syncs continue.
    pub fn release_syncs(&self) {
        self.is_held.send_replace(false);
    }

    /// Returns when a sync waits.
    pub async fn sync_waits(&self) {
        // The sender is a field, so the channel is open.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

#[async_trait]
impl PredictionLog for HoldableLog {
    fn append(&self, log: &str, record: PredictionRecord<'_>) -> Result<LogPosition> {
        self.log.append(log, record)
    }

    async fn sync(&self, log: &str, position: LogPosition) -> Result<()> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _ = self.is_held.subscribe().wait_for(|is_held| !is_held).await;
        self.waiting.send_modify(|waiting| *waiting -= 1);
        self.log.sync(log, position).await
    }

    fn seal(&self, log: &str) -> Result<Vec<i64>> {
        self.log.seal(log)
    }

    fn backlog(&self, log: &str) -> Result<Backlog> {
        self.log.backlog(log)
    }

    fn read(&self, log: &str, number: i64) -> Result<Segment> {
        self.log.read(log, number)
    }

    fn find(&self, log: &str, request: RequestId) -> Result<Option<Vec<ValueColumn>>> {
        self.log.find(log, request)
    }

    fn remove(&self, log: &str, number: i64) -> Result<()> {
        self.log.remove(log, number)
    }
}
