//! One log: its open segment, and what is known of the closed ones.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::LogError;
use super::file::{self, MAGIC, SegmentFile};
use super::record::{self, Columns, Scan};
use super::{LogLimits, lock};

/// A log that takes records.
pub(super) struct Log {
    name: String,
    folder: PathBuf,
    limits: LogLimits,
    state: Mutex<State>,
}

struct State {
    number: i64,
    segment: Arc<SegmentFile>,
    records: u64,
    /// Fingerprints of the columns that the open segment describes already.
    known: HashSet<u64>,
    /// Sizes of the closed segments that were not removed yet, by number.
    closed: BTreeMap<i64, u64>,
}

/// Where a record went.
pub(super) struct Written {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) end: u64,
}

impl Log {
    /// Whether anything was ever logged in `folder`.
    pub(super) fn exists(folder: &Path) -> Result<bool, LogError> {
        Ok(!file::numbers(folder)?.is_empty())
    }

    /// Opens the log in `folder`: cuts off what a crash left half-written and goes on behind it.
    /// A last file that is no segment counts as closed: whoever reads it is told, and logging goes on.
    pub(super) fn open(folder: &Path, name: &str, limits: LogLimits) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::io(folder))?;
        let mut numbers = file::numbers(folder)?;
        let (number, scan) = match numbers.pop() {
            None => (1, None),
            Some(last) => match scan_open(&file::path(folder, last))? {
                Last::Segment(scan) => (last, Some(scan)),
                Last::NotBegun => (last, None),
                Last::Foreign => {
                    numbers.push(last);
                    (last + 1, None)
                }
            },
        };
        let (segment, scan) = match scan {
            Some(scan) => (SegmentFile::resume(folder, number, scan.end)?, scan),
            None => (SegmentFile::create(folder, number)?, Scan::default()),
        };
        sync_folders(folder, name)?;
        let mut closed = BTreeMap::new();
        for number in numbers {
            let path = file::path(folder, number);
            let size_bytes = fs::metadata(&path).map_err(LogError::io(&path))?.len();
            closed.insert(number, size_bytes);
        }
        let known = scan.columns.keys().copied().collect();
        let state = State { number, segment: Arc::new(segment), records: scan.records, known, closed };
        Ok(Self { name: name.to_owned(), folder: folder.to_owned(), limits, state: Mutex::new(state) })
    }

    /// Writes one encoded record, behind a description of its columns where the segment lacks it.
    pub(super) fn append(&self, columns: &Columns, encoded: &[u8]) -> Result<Written, LogError> {
        let mut state = lock::mutex(&self.state);
        if state.segment.has_failed() {
            return Err(LogError::Unsynced(state.segment.path().to_owned()));
        }
        let grown = state.segment.end() + encoded.len() as u64;
        if state.records > 0 && grown > self.limits.segment_bytes {
            self.roll(&mut state)?;
        }
        let end = if state.known.contains(&columns.fingerprint) {
            state.segment.append(encoded)?
        } else {
            let mut both = columns.encoded();
            both.extend_from_slice(encoded);
            let end = state.segment.append(&both)?;
            state.known.insert(columns.fingerprint);
            end
        };
        state.records += 1;
        Ok(Written { segment: state.segment.clone(), end })
    }

    /// Closes the open segment and begins the next.
    fn roll(&self, state: &mut State) -> Result<(), LogError> {
        let waiting = state.closed.values().sum::<u64>() + state.segment.end();
        if waiting > self.limits.backlog_bytes {
            return Err(LogError::Full { name: self.name.clone(), size_bytes: waiting });
        }
        let size_bytes = state.segment.end();
        state.segment.sync(size_bytes)?;
        let next = SegmentFile::create(&self.folder, state.number + 1)?;
        file::sync_folder(&self.folder)?;
        state.closed.insert(state.number, size_bytes);
        state.number += 1;
        state.segment = Arc::new(next);
        state.records = 0;
        state.known.clear();
        Ok(())
    }

    /// Closes the open segment if it holds anything; tells the numbers of all closed ones. While
    /// too much waits the open one stays open: only taking over what is closed makes room.
    pub(super) fn seal(&self) -> Result<Vec<i64>, LogError> {
        let mut state = lock::mutex(&self.state);
        if state.records > 0 {
            match self.roll(&mut state) {
                Ok(()) | Err(LogError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(state.closed.keys().copied().collect())
    }

    /// Where a closed segment lies: it stays as it is, while appending goes on.
    pub(super) fn closed(&self, number: i64) -> Result<PathBuf, LogError> {
        if number >= lock::mutex(&self.state).number {
            return Err(LogError::Open { name: self.name.clone(), number });
        }
        Ok(file::path(&self.folder, number))
    }

    /// Removes a closed segment; one that is gone already counts as removed.
    pub(super) fn remove(&self, number: i64) -> Result<(), LogError> {
        let mut state = lock::mutex(&self.state);
        if number >= state.number {
            return Err(LogError::Open { name: self.name.clone(), number });
        }
        let path = file::path(&self.folder, number);
        match fs::remove_file(&path) {
            Ok(()) => file::sync_folder(&self.folder)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(LogError::io(&path)(error)),
        }
        state.closed.remove(&number);
        Ok(())
    }
}

/// What the last file of a log is.
enum Last {
    /// A segment, as far as it is whole.
    Segment(Scan),
    /// Not even a header.
    NotBegun,
    /// Something else.
    Foreign,
}

fn scan_open(path: &Path) -> Result<Last, LogError> {
    let bytes = file::read(path)?;
    if bytes.len() < MAGIC.len() {
        return Ok(Last::NotBegun);
    }
    if !bytes.starts_with(MAGIC) {
        tracing::error!(path = %path.display(), "expected a prediction segment; the log goes on in the next one");
        return Ok(Last::Foreign);
    }
    let scan = record::scan(&bytes);
    if let Some(why) = &scan.torn {
        let lost_bytes = bytes.len() as u64 - scan.end;
        tracing::warn!(path = %path.display(), lost_bytes, why, "cut off the torn tail of a prediction segment");
    }
    Ok(Last::Segment(scan))
}

/// Brings the name of `folder` and of the folders above it that belong to the log to disk.
fn sync_folders(folder: &Path, name: &str) -> Result<(), LogError> {
    let depth = name.split('/').count();
    for step in folder.ancestors().take(depth + 1) {
        file::sync_folder(step)?;
    }
    Ok(())
}
