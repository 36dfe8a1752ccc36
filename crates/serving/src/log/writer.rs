//! The writer of one log: its open segment, and the sizes of its closed segments.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::LogError;
use super::file::{self, MAGIC, SegmentFile};
use super::record::{self, Columns, Scan};
use super::{LogLimits, lock};

/// Appends records to a log's segments.
pub(super) struct SegmentWriter {
    name: String,
    folder: PathBuf,
    limits: LogLimits,
    state: Mutex<State>,
}

struct State {
    number: i64,
    segment: Arc<SegmentFile>,
    records: u64,
    /// Fingerprints of the column descriptions in the open segment.
    described: HashSet<u64>,
    /// Sizes of the closed segments that were not removed yet, by number.
    closed: BTreeMap<i64, u64>,
}

/// The position of a written record.
pub(super) struct Written {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) end: u64,
}

impl SegmentWriter {
    /// Whether `folder` has a segment.
    pub(super) fn exists(folder: &Path) -> Result<bool, LogError> {
        Ok(!file::numbers(folder)?.is_empty())
    }

    /// Opens the log in `folder`: cuts off a half-written tail and appends after it. A last file that is not a
    /// segment counts as closed: reading it is an error, and logging continues in a new segment.
    pub(super) fn open(folder: &Path, name: &str, limits: LogLimits) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::io(folder))?;
        let mut numbers = file::numbers(folder)?;
        let (number, scan) = match numbers.pop() {
            None => (1, None),
            Some(last) => match scan_last(&file::path(folder, last))? {
                LastFile::Segment(scan) => (last, Some(scan)),
                LastFile::Empty => (last, None),
                LastFile::NotASegment => {
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
        let described = scan.columns.keys().copied().collect();
        let state = State { number, segment: Arc::new(segment), records: scan.records, described, closed };
        Ok(Self { name: name.to_owned(), folder: folder.to_owned(), limits, state: Mutex::new(state) })
    }

    /// Writes one encoded record, after a description of its columns if the segment lacks it.
    pub(super) fn append(&self, columns: &Columns, encoded: &[u8]) -> Result<Written, LogError> {
        let mut state = lock::mutex(&self.state);
        if state.segment.has_failed() {
            return Err(LogError::Unsynced(state.segment.path().to_owned()));
        }
        let grown = state.segment.end() + encoded.len() as u64;
        if state.records > 0 && grown > self.limits.segment_bytes {
            self.roll(&mut state)?;
        }
        let end = if state.described.contains(&columns.fingerprint) {
            state.segment.append(encoded)?
        } else {
            let mut both = columns.encoded();
            both.extend_from_slice(encoded);
            let end = state.segment.append(&both)?;
            state.described.insert(columns.fingerprint);
            end
        };
        state.records += 1;
        Ok(Written { segment: state.segment.clone(), end })
    }

    /// Closes the open segment and opens the next.
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
        state.described.clear();
        Ok(())
    }

    /// Closes the open segment unless it is empty; returns the numbers of all closed segments. While the backlog
    /// is full the open segment stays open: only ingesting closed segments makes room.
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

    /// The path of a closed segment, which no longer changes.
    pub(super) fn closed(&self, number: i64) -> Result<PathBuf, LogError> {
        if number >= lock::mutex(&self.state).number {
            return Err(LogError::Open { name: self.name.clone(), number });
        }
        Ok(file::path(&self.folder, number))
    }

    /// Removes a closed segment; a missing one counts as removed.
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

/// The state of a log's last file.
enum LastFile {
    /// A segment, with its whole frames.
    Segment(Scan),
    /// The header is incomplete.
    Empty,
    /// Another kind of file.
    NotASegment,
}

fn scan_last(path: &Path) -> Result<LastFile, LogError> {
    let bytes = file::read(path)?;
    if bytes.len() < MAGIC.len() {
        return Ok(LastFile::Empty);
    }
    if !bytes.starts_with(MAGIC) {
        tracing::error!(path = %path.display(), "expected a prediction segment; logging continues in the next one");
        return Ok(LastFile::NotASegment);
    }
    let scan = record::scan(&bytes);
    if let Some(reason) = &scan.torn {
        let lost_bytes = bytes.len() as u64 - scan.end;
        tracing::warn!(path = %path.display(), lost_bytes, reason, "cut off the torn tail of a prediction segment");
    }
    Ok(LastFile::Segment(scan))
}

/// Syncs the entries of `folder` and of its parent folders that belong to the log.
fn sync_folders(folder: &Path, name: &str) -> Result<(), LogError> {
    let depth = name.split('/').count();
    for step in folder.ancestors().take(depth + 1) {
        file::sync_folder(step)?;
    }
    Ok(())
}
