//! The prediction log: one folder a log, numbered segments in it.
//!
//! The segment with the highest number is open, the others are closed. Closing
//! one begins with the next, so that numbers go on where they stood even when
//! every closed segment was removed.

mod error;
mod file;
mod open;
mod record;
mod rows;
mod syncer;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use perennial_core::path::RelativePath;
use perennial_core::port::prediction::{Answered, Durability, PredictionLog, Segment};

pub(crate) use error::LogError;
use open::Log;
use record::Columns;
use syncer::Syncer;

/// What one record may hold, bytes; a request beyond it is too large to be logged, hence to be answered.
pub const RECORD_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The components a log's name may have.
const NAME_COMPONENTS_MAX: usize = 4;

/// Limits of a [`SegmentLog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// A segment is closed before it grows beyond this; one larger record has a segment of its own.
    pub segment_bytes: u64,
    /// Closed segments of one log that were not removed yet; beyond it, appending is refused.
    pub backlog_bytes: u64,
}

impl Default for LogLimits {
    /// Segments of 16 MiB, of which 16 GiB may wait.
    fn default() -> Self {
        Self { segment_bytes: 16 * 1024 * 1024, backlog_bytes: 16 * 1024 * 1024 * 1024 }
    }
}

/// Prediction logs in a folder: `<root>/<log>/<number>.seg`.
///
/// Appending encodes on the caller's thread and writes once, under a lock of that log alone. A
/// thread brings written segments to disk every 100 ms; it sleeps while nothing is written.
pub struct SegmentLog {
    root: PathBuf,
    limits: LogLimits,
    logs: RwLock<HashMap<String, Arc<Log>>>,
    opening: Mutex<()>,
    syncer: Syncer,
    /// Held while the log is open; the system lets go of it when the process dies.
    _lock: File,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl SegmentLog {
    /// Opens the folder (made when missing) with the default limits.
    ///
    /// # Errors
    /// When another process, or this one, has it open.
    pub fn open(root: &Path) -> perennial_core::Result<Self> {
        Self::open_with(root, LogLimits::default())
    }

    /// Opens the folder with limits of one's own.
    pub fn open_with(root: &Path, limits: LogLimits) -> perennial_core::Result<Self> {
        Ok(Self::open_inner(root, limits)?)
    }

    fn open_inner(root: &Path, limits: LogLimits) -> Result<Self, LogError> {
        fs::create_dir_all(root).map_err(LogError::io(root))?;
        let place = root.join("lock");
        let lock =
            File::options().create(true).truncate(false).write(true).open(&place).map_err(LogError::io(&place))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LogError::InUse(root.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(LogError::io(&place)(error)),
        }
        Ok(Self {
            root: root.to_owned(),
            limits,
            logs: RwLock::default(),
            opening: Mutex::default(),
            syncer: Syncer::start()?,
            _lock: lock,
        })
    }

    /// The folder of the log called `name`, judged.
    fn folder(&self, name: &str) -> Result<PathBuf, LogError> {
        let path: RelativePath = name.parse()?;
        if path.components().count() > NAME_COMPONENTS_MAX {
            return Err(LogError::Name(name.to_owned()));
        }
        Ok(self.root.join(path))
    }

    /// The log called `name`; `None` when it has no folder and is not to be made.
    fn log(&self, name: &str, make: bool) -> Result<Option<Arc<Log>>, LogError> {
        if let Some(log) = lock::read(&self.logs).get(name) {
            return Ok(Some(log.clone()));
        }
        let folder = self.folder(name)?;
        let _opening = lock::mutex(&self.opening);
        if let Some(log) = lock::read(&self.logs).get(name) {
            return Ok(Some(log.clone()));
        }
        if !make && !Log::exists(&folder)? {
            return Ok(None);
        }
        let log = Arc::new(Log::open(&folder, name, self.limits)?);
        lock::write(&self.logs).insert(name.to_owned(), log.clone());
        Ok(Some(log))
    }

    fn append_inner(&self, name: &str, record: &Answered<'_>, durability: Durability) -> Result<(), LogError> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let columns = Columns::of(record.inputs)?;
            record::encode(record, &columns, buffer)?;
            let log = self.log(name, true)?.ok_or_else(|| LogError::Name(name.to_owned()))?;
            let written = log.append(&columns, buffer)?;
            match durability {
                Durability::Logged => self.syncer.push(&written.segment),
                Durability::Recorded => written.segment.sync(written.end)?,
            }
            Ok(())
        })
    }
}

impl PredictionLog for SegmentLog {
    fn append(&self, log: &str, record: Answered<'_>, durability: Durability) -> perennial_core::Result<()> {
        Ok(self.append_inner(log, &record, durability)?)
    }

    fn seal(&self, log: &str) -> perennial_core::Result<Vec<i64>> {
        match self.log(log, false)? {
            Some(log) => Ok(log.seal()?),
            None => Ok(Vec::new()),
        }
    }

    fn read(&self, log: &str, number: i64) -> perennial_core::Result<Segment> {
        let path = match self.log(log, false)? {
            Some(log) => log.closed(number)?,
            None => file::path(&self.folder(log)?, number),
        };
        Ok(rows::segment(&path, &file::read(&path)?)?)
    }

    fn remove(&self, log: &str, number: i64) -> perennial_core::Result<()> {
        match self.log(log, false)? {
            Some(log) => Ok(log.remove(number)?),
            None => Ok(()),
        }
    }
}

/// Locks that go on after a panic elsewhere: what they guard is whole between statements.
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
