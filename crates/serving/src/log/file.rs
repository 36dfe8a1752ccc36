//! One segment on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use super::error::LogError;
use super::lock;

/// What every segment begins with.
pub(super) const MAGIC: &[u8; 8] = b"PRNLSEG1";

/// Where the segment called `number` lies.
pub(super) fn path(folder: &Path, number: i64) -> PathBuf {
    folder.join(format!("{number}.seg"))
}

/// The numbers of the segments in `folder`, ascending; none when there is no folder.
pub(super) fn numbers(folder: &Path) -> Result<Vec<i64>, LogError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LogError::io(folder)(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(LogError::io(folder))?.file_name();
        let number: Option<i64> =
            name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// All bytes of a segment.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(LogError::io(path))
}

/// Brings the names in `folder` to disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), LogError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LogError::io(folder))
}

/// A segment that is written to.
pub(super) struct SegmentFile {
    path: PathBuf,
    file: File,
    /// Bytes whose write has returned.
    written: AtomicU64,
    is_dirty: AtomicBool,
    synced: Mutex<Synced>,
    changed: Condvar,
}

/// How far a segment is on disk.
#[derive(Default)]
struct Synced {
    end: u64,
    is_running: bool,
    has_failed: bool,
}

impl SegmentFile {
    /// Begins a segment: its header is on disk on return, its name is not yet.
    pub(super) fn create(folder: &Path, number: i64) -> Result<Self, LogError> {
        let path = path(folder, number);
        // A file that a crash left without a whole header was never appended to.
        let mut file = File::create(&path).map_err(LogError::io(&path))?;
        file.write_all(MAGIC).map_err(LogError::io(&path))?;
        Self::resume(folder, number, MAGIC.len() as u64)
    }

    /// Goes on with a segment whose first `end` bytes are whole; the rest is cut off.
    pub(super) fn resume(folder: &Path, number: i64, end: u64) -> Result<Self, LogError> {
        let path = path(folder, number);
        let file = File::options().append(true).open(&path).map_err(LogError::io(&path))?;
        file.set_len(end).and_then(|()| file.sync_all()).map_err(LogError::io(&path))?;
        Ok(Self::new(path, file, end))
    }

    fn new(path: PathBuf, file: File, end: u64) -> Self {
        Self {
            path,
            file,
            written: AtomicU64::new(end),
            is_dirty: AtomicBool::new(false),
            synced: Mutex::new(Synced { end, ..Synced::default() }),
            changed: Condvar::new(),
        }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes whose write has returned.
    pub(super) fn end(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Writes at the end; one writer at a time. After a failure nothing of `bytes` is left, or
    /// the next call refuses.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64, LogError> {
        let end = self.end();
        let mut file = &self.file;
        if let Err(error) = file.write_all(bytes) {
            if let Err(error) = self.file.set_len(end) {
                lock::mutex(&self.synced).has_failed = true;
                tracing::error!(path = %self.path.display(), error = %error, "a half-written prediction was not cut off");
            }
            return Err(LogError::io(&self.path)(error));
        }
        let end = end + bytes.len() as u64;
        // Ordered with `mark_dirty` and `mark_clean`, so that a sync is never missed.
        self.written.store(end, Ordering::SeqCst);
        Ok(end)
    }

    /// Says that something was written; tells whether that was known.
    pub(super) fn mark_dirty(&self) -> bool {
        self.is_dirty.swap(true, Ordering::SeqCst)
    }

    /// Says that a sync follows; tells what it has to reach.
    pub(super) fn mark_clean(&self) -> u64 {
        self.is_dirty.store(false, Ordering::SeqCst);
        self.written.load(Ordering::SeqCst)
    }

    /// Whether nothing may be appended any more.
    pub(super) fn has_failed(&self) -> bool {
        lock::mutex(&self.synced).has_failed
    }

    /// Returns when the first `end` bytes are on disk. Callers that wait at the same time share a sync.
    pub(super) fn sync(&self, end: u64) -> Result<(), LogError> {
        let mut synced = lock::mutex(&self.synced);
        loop {
            if synced.has_failed {
                return Err(LogError::Unsynced(self.path.clone()));
            }
            if synced.end >= end {
                return Ok(());
            }
            if synced.is_running {
                synced = self.changed.wait(synced).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            }
            synced.is_running = true;
            drop(synced);
            let reached = self.end();
            let outcome = self.file.sync_data();
            synced = lock::mutex(&self.synced);
            synced.is_running = false;
            match &outcome {
                Ok(()) => synced.end = synced.end.max(reached),
                Err(_) => synced.has_failed = true,
            }
            self.changed.notify_all();
            outcome.map_err(LogError::io(&self.path))?;
        }
    }
}
