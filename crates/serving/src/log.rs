//! The prediction log: one folder per log, with numbered segments.
//!
//! The segment with the highest number is open, the others are closed. Closing a segment opens the next one, so
//! that numbers keep counting up even after every closed segment was removed.

mod columns;
mod error;
mod file;
mod record;
mod syncer;
mod writer;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use async_trait::async_trait;
use perennial_core::id::RequestId;
use perennial_core::path::RelativePath;
use perennial_core::port::data::ValueColumn;
use perennial_core::port::prediction::{Backlog, LogPosition, PredictionLog, PredictionRecord, Segment};

pub(crate) use error::LogError;
use file::SyncFile;
use syncer::Syncer;
use writer::SegmentWriter;

/// The size limit of a record, bytes. A larger request cannot be logged, and so is not answered.
pub const RECORD_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The number of components that a log's name may have.
const NAME_COMPONENTS_MAX: usize = 4;

/// Limits of a [`SegmentLog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// A segment is closed before it grows beyond this; one larger record has a segment of its own.
    pub segment_bytes: u64,
    /// Total size of a log's closed segments that were not removed yet; beyond it, appending fails.
    pub backlog_bytes: u64,
}

impl Default for LogLimits {
    /// Segments of 16 MiB, a backlog of 16 GiB.
    fn default() -> Self {
        Self { segment_bytes: 16 * 1024 * 1024, backlog_bytes: 16 * 1024 * 1024 * 1024 }
    }
}

/// Prediction logs in a folder: `<root>/<log>/<number>.seg`.
///
/// Appending encodes on the caller's thread and writes once, under that log's own lock. A background thread
/// syncs: written segments every 100 ms, and at once when a caller waits for the sync.
pub struct SegmentLog {
    root: PathBuf,
    limits: LogLimits,
    writers: RwLock<HashMap<String, Arc<SegmentWriter>>>,
    opening: Mutex<()>,
    sync_file: SyncFile,
    syncer: Syncer,
    /// Locks the folder; the system releases it when the process dies.
    _lock: File,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl SegmentLog {
    /// Opens the folder with the default limits; creates it when missing.
    ///
    /// # Errors
    /// When the folder is open already, in this process or another.
    pub fn open(root: &Path) -> perennial_core::Result<Self> {
        Self::open_with(root, LogLimits::default())
    }

    /// Opens the folder with the given limits.
    pub fn open_with(root: &Path, limits: LogLimits) -> perennial_core::Result<Self> {
        Ok(Self::open_syncing(root, limits, Arc::new(File::sync_data))?)
    }

    /// Opens the folder; `sync_file` syncs the files.
    fn open_syncing(root: &Path, limits: LogLimits, sync_file: SyncFile) -> Result<Self, LogError> {
        fs::create_dir_all(root).map_err(LogError::io(root))?;
        let path = root.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(LogError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LogError::InUse(root.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(LogError::io(&path)(error)),
        }
        Ok(Self {
            root: root.to_owned(),
            limits,
            writers: RwLock::default(),
            opening: Mutex::default(),
            sync_file,
            syncer: Syncer::start()?,
            _lock: lock,
        })
    }

    /// The folder of the log `name`, after validation of the name.
    fn folder(&self, name: &str) -> Result<PathBuf, LogError> {
        let path: RelativePath = name.parse()?;
        if path.components().count() > NAME_COMPONENTS_MAX {
            return Err(LogError::Name(name.to_owned()));
        }
        Ok(self.root.join(path))
    }

    /// The writer of the log `name`. A log without segments is created if `create`, else `None`.
    fn writer(&self, name: &str, create: bool) -> Result<Option<Arc<SegmentWriter>>, LogError> {
        if let Some(writer) = lock::read(&self.writers).get(name) {
            return Ok(Some(writer.clone()));
        }
        let folder = self.folder(name)?;
        let _opening = lock::mutex(&self.opening);
        if let Some(writer) = lock::read(&self.writers).get(name) {
            return Ok(Some(writer.clone()));
        }
        if !create && !SegmentWriter::exists(&folder)? {
            return Ok(None);
        }
        let writer = Arc::new(SegmentWriter::open(&folder, name, self.limits, self.sync_file.clone())?);
        lock::write(&self.writers).insert(name.to_owned(), writer.clone());
        Ok(Some(writer))
    }

    fn append_inner(&self, name: &str, record: &PredictionRecord<'_>) -> Result<LogPosition, LogError> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let writer = self.writer(name, true)?.ok_or_else(|| LogError::Name(name.to_owned()))?;
            let columns = writer.columns(record.inputs)?;
            record::encode(record, &columns, buffer)?;
            let written = writer.append(&columns, buffer, record.wall_ms)?;
            self.syncer.schedule(&written.segment);
            Ok(written.position)
        })
    }
}

#[async_trait]
impl PredictionLog for SegmentLog {
    fn append(&self, log: &str, record: PredictionRecord<'_>) -> perennial_core::Result<LogPosition> {
        Ok(self.append_inner(log, &record)?)
    }

    async fn sync(&self, log: &str, position: LogPosition) -> perennial_core::Result<()> {
        let writer = self.writer(log, false)?;
        match writer.and_then(|writer| writer.unsynced(position.segment)) {
            Some(segment) => Ok(self.syncer.sync(&segment, position.end_bytes).await?),
            None => Ok(()),
        }
    }

    fn seal(&self, log: &str) -> perennial_core::Result<Vec<i64>> {
        match self.writer(log, false)? {
            Some(writer) => Ok(writer.seal()?),
            None => Ok(Vec::new()),
        }
    }

    fn backlog(&self, log: &str) -> perennial_core::Result<Backlog> {
        Ok(self.writer(log, false)?.map(|writer| writer.backlog()).unwrap_or_default())
    }

    fn read(&self, log: &str, number: i64) -> perennial_core::Result<Segment> {
        let path = match self.writer(log, false)? {
            Some(writer) => writer.closed(number)?,
            None => file::path(&self.folder(log)?, number),
        };
        Ok(columns::segment(&path, &file::read(&path)?)?)
    }

    fn find(&self, log: &str, request: RequestId) -> perennial_core::Result<Option<Vec<ValueColumn>>> {
        let folder = self.folder(log)?;
        for number in file::numbers(&folder)?.into_iter().rev() {
            let path = file::path(&folder, number);
            let Some(bytes) = file::read_if_present(&path)? else { continue };
            if let Some(rows) = columns::rows_of(&bytes, request) {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    fn remove(&self, log: &str, number: i64) -> perennial_core::Result<()> {
        match self.writer(log, false)? {
            Some(writer) => Ok(writer.remove(number)?),
            None => Ok(()),
        }
    }
}

/// Locks that ignore poisoning: the guarded values are consistent between statements.
mod lock {
    use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

    pub(super) fn mutex<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
        lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
        lock.write().unwrap_or_else(PoisonError::into_inner)
    }
}
