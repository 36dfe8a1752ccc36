//! Leaves a file for a later scan while it may still be being written.
//!
//! A local file has *settled* when it is unchanged for the source's `settle` time:
//!
//! - A file whose modification time is older than that has settled at its first scan, so most files cost nothing.
//! - A fresh file has settled when its time is that old, or when two scans that far apart see the same size and time. The
//!   second rule needs no agreement between the clocks of the file system and of the server: a time in the future, or
//!   none at all, is compared with itself.
//! - A file that changes between two scans is being written, however old the modification time is that its writer or
//!   the clock of its file system gives it: it has settled when it does not change for that time on the clock of the server.
//!
//! A copy that keeps the time of its original sets that time when it is complete, and is loaded at once then. A file that
//! changes while it is read is refused by staging. On a stepped clock the files are in place before a step, and are
//! loaded at once; so are files that were uploaded with the project.

use std::collections::BTreeMap;

use perennial_core::name::DatasetName;
use perennial_core::port::source::Position;

/// The files that had not settled at the latest scan, by dataset and path.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    datasets: BTreeMap<DatasetName, BTreeMap<String, Scanned>>,
}

/// A file at its latest scan.
#[derive(Debug, Clone)]
struct Scanned {
    position: Position,
    /// When a scan first found it at this position, on the server's clock.
    since_ms: i64,
    /// Whether it changed between two scans, so that its own time is not believed.
    distrusts_time: bool,
    /// When it has settled, unless it changes.
    settles_ms: i64,
    /// When it was scanned.
    scanned_ms: i64,
}

/// A scan of the files of one dataset.
pub(crate) struct Settling {
    settle_ms: i64,
    now_ms: i64,
    before: BTreeMap<String, Scanned>,
    after: BTreeMap<String, Scanned>,
}

impl Unsettled {
    /// Begins a scan; [`Self::end`] ends it.
    pub(crate) fn begin(&mut self, dataset: &DatasetName, settle_ms: i64, now_ms: i64) -> Settling {
        let before = self.datasets.remove(dataset).unwrap_or_default();
        Settling { settle_ms, now_ms, before, after: BTreeMap::new() }
    }

    /// Ends a scan; returns the time until its last file has settled, unless files change.
    pub(crate) fn end(&mut self, dataset: &DatasetName, scan: Settling) -> Option<i64> {
        let wait_ms = scan.after.values().map(|file| file.settles_ms - scan.now_ms).max();
        if wait_ms.is_some() {
            self.datasets.insert(dataset.clone(), scan.after);
        }
        wait_ms
    }

    /// Whether a file should have settled by now, so that its source is worth a scan. A clock that was set back counts.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        let mut files = self.datasets.values().flat_map(BTreeMap::values);
        files.any(|file| now_ms >= file.settles_ms || now_ms < file.scanned_ms)
    }

    /// Forgets the files of a dataset whose source is gone or was changed.
    pub(crate) fn retain(&mut self, is_declared: impl Fn(&DatasetName) -> bool) {
        self.datasets.retain(|dataset, _| is_declared(dataset));
    }
}

impl Settling {
    /// Whether a file at `position`, modified at `modified_ms`, has settled. Remembers it if not.
    pub(crate) fn has_settled(&mut self, path: &str, position: &Position, modified_ms: Option<i64>) -> bool {
        let (now_ms, settle_ms) = (self.now_ms, self.settle_ms);
        let (mut since_ms, mut distrusts_time) = (now_ms, false);
        if let Some(before) = self.before.get(path) {
            if before.position == *position {
                (since_ms, distrusts_time) = (before.since_ms.min(now_ms), before.distrusts_time);
            } else {
                // A scan longer ago says nothing about the present.
                distrusts_time = (0..=settle_ms).contains(&(now_ms - before.scanned_ms));
            }
        }
        let own_ms = modified_ms.filter(|modified_ms| !distrusts_time && *modified_ms <= now_ms);
        let settles_ms = own_ms.map_or(since_ms, |own_ms| own_ms.min(since_ms)) + settle_ms;
        if settles_ms <= now_ms {
            return true;
        }
        let position = position.clone();
        let scanned = Scanned { position, since_ms, distrusts_time, settles_ms, scanned_ms: now_ms };
        self.after.insert(path.to_owned(), scanned);
        false
    }
}

#[cfg(test)]
mod tests;
