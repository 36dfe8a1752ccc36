//! A segment's file.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use super::error::LogError;
use super::lock;

/// The header of a segment.
pub(super) const MAGIC: &[u8; 8] = b"PRNLSEG1";

/// The path of segment `number`.
pub(super) fn path(folder: &Path, number: i64) -> PathBuf {
    folder.join(format!("{number}.seg"))
}

/// The numbers of the segments in `folder`, ascending; none when the folder is missing.
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

/// The bytes of a segment.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(LogError::io(path))
}

/// Syncs the entries of `folder`.
pub(super) fn sync_folder(folder: &Path) -> Result<(), LogError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LogError::io(folder))
}

/// A segment open for writing.
pub(super) struct SegmentFile {
    path: PathBuf,
    file: File,
    /// Bytes whose write has returned.
    written: AtomicU64,
    is_dirty: AtomicBool,
    synced: Mutex<Synced>,
    changed: Condvar,
}

/// Progress of syncing a segment.
#[derive(Default)]
struct Synced {
    end: u64,
    is_running: bool,
    has_failed: bool,
}

impl SegmentFile {
    /// Creates a segment. On return its header is synced, its folder entry is not.
    pub(super) fn create(folder: &Path, number: i64) -> Result<Self, LogError> {
        let path = path(folder, number);
        // A file with an incomplete header, left by a crash, has no records.
        let mut file = File::create(&path).map_err(LogError::io(&path))?;
        file.write_all(MAGIC).map_err(LogError::io(&path))?;
        Self::resume(folder, number, MAGIC.len() as u64)
    }

    /// Opens a segment to append after its first `end` bytes; cuts off the rest.
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

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes whose write has returned.
    pub(super) fn end(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Writes at the end; one writer at a time. After a failure either no part of `bytes` is left, or every
    /// later call fails.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64, LogError> {
        let end = self.end();
        let mut file = &self.file;
        if let Err(error) = file.write_all(bytes) {
            if let Err(error) = self.file.set_len(end) {
                lock::mutex(&self.synced).has_failed = true;
                tracing::error!(path = %self.path.display(), error = %error, "cannot cut off a half-written prediction");
            }
            return Err(LogError::io(&self.path)(error));
        }
        let end = end + bytes.len() as u64;
        // Ordered with `mark_dirty` and `mark_clean`, so that no sync is missed.
        self.written.store(end, Ordering::SeqCst);
        Ok(end)
    }

    /// Marks the segment as written to; returns whether it was marked before.
    pub(super) fn mark_dirty(&self) -> bool {
        self.is_dirty.swap(true, Ordering::SeqCst)
    }

    /// Clears the mark before a sync; returns the end that the sync has to reach.
    pub(super) fn mark_clean(&self) -> u64 {
        self.is_dirty.store(false, Ordering::SeqCst);
        self.written.load(Ordering::SeqCst)
    }

    /// Whether a write or sync failed; then nothing may be appended.
    pub(super) fn has_failed(&self) -> bool {
        lock::mutex(&self.synced).has_failed
    }

    /// Blocks until the first `end` bytes are on disk. Concurrent callers share one sync.
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
