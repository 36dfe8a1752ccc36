//! The writer of one log: its open segment, and the sizes of its closed segments.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use perennial_core::frame::Frame;
use perennial_core::port::prediction::{Backlog, LogPosition};

use super::error::LogError;
use super::file::{self, MAGIC, MAGIC_UNSEALED, SegmentFile, SyncFile};
use super::record::{self, Columns, SEAL_BYTES, Scan};
use super::{LogLimits, lock};

/// Appends records to a log's segments.
pub(super) struct SegmentWriter {
    name: String,
    folder: PathBuf,
    limits: LogLimits,
    sync_file: SyncFile,
    /// The last few descriptions of columns: one for each version that answers.
    descriptions: RwLock<Vec<Arc<Columns>>>,
    state: Mutex<State>,
}

/// Descriptions of columns that a writer remembers.
const DESCRIPTIONS_MAX: usize = 4;

struct State {
    number: i64,
    segment: Arc<SegmentFile>,
    /// The segment before, which may not be synced yet. Every segment before that one is.
    previous: Option<Arc<SegmentFile>>,
    records: u64,
    /// Wall clock of the first record of the open segment; 0 when an earlier server wrote it.
    first_ms: i64,
    /// Fingerprints of the column descriptions in the open segment.
    described: HashSet<u64>,
    /// The closed segments that were not removed yet, by number.
    closed: BTreeMap<i64, Closed>,
}

/// A closed segment.
struct Closed {
    bytes: u64,
    /// Wall clock of its first record; 0 when an earlier server wrote it.
    first_ms: i64,
}

/// The position of a written record.
pub(super) struct Written {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) position: LogPosition,
}

impl SegmentWriter {
    /// Whether `folder` has a segment.
    pub(super) fn exists(folder: &Path) -> Result<bool, LogError> {
        Ok(!file::numbers(folder)?.is_empty())
    }

    /// Opens the log in `folder`: cuts off a half-written tail and appends after it. A last file that is not a
    /// segment counts as closed: reading it is an error, and logging continues in a new segment.
    pub(super) fn open(folder: &Path, name: &str, limits: LogLimits, sync_file: SyncFile) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::io(folder))?;
        let mut numbers = file::numbers(folder)?;
        let (number, scan) = match numbers.pop() {
            None => (1, None),
            Some(last) => match inspect_last(&file::path(folder, last))? {
                LastFile::Open(scan) => (last, Some(scan)),
                LastFile::Empty => (last, None),
                LastFile::Closed => {
                    numbers.push(last);
                    (last + 1, None)
                }
            },
        };
        let previous = match numbers.last() {
            Some(previous) => Some(Arc::new(open_closed(folder, *previous, sync_file.clone())?)),
            None => None,
        };
        let folders = folders(folder, name);
        let (segment, scan) = match scan {
            Some(scan) => (SegmentFile::resume(folder, number, scan.end, folders, sync_file.clone())?, scan),
            None => (SegmentFile::create(folder, number, folders, sync_file.clone())?, Scan::default()),
        };
        let mut closed = BTreeMap::new();
        for number in numbers {
            let path = file::path(folder, number);
            let size_bytes = fs::metadata(&path).map_err(LogError::io(&path))?.len();
            closed.insert(number, Closed { bytes: size_bytes, first_ms: 0 });
        }
        let described = scan.columns.keys().copied().collect();
        let (segment, records) = (Arc::new(segment), scan.records);
        let state = State { number, segment, previous, records, first_ms: 0, described, closed };
        let (name, folder) = (name.to_owned(), folder.to_owned());
        Ok(Self { name, folder, limits, sync_file, descriptions: RwLock::default(), state: Mutex::new(state) })
    }

    /// The description of the columns of `frame`, hashed once for the records of one version.
    pub(super) fn columns(&self, frame: &Frame) -> Result<Arc<Columns>, LogError> {
        if let Some(known) = lock::read(&self.descriptions).iter().find(|columns| columns.describes(frame)) {
            return Ok(known.clone());
        }
        let columns = Arc::new(Columns::of(frame)?);
        let mut descriptions = lock::write(&self.descriptions);
        if descriptions.len() >= DESCRIPTIONS_MAX {
            descriptions.remove(0);
        }
        descriptions.push(columns.clone());
        Ok(columns)
    }

    /// Writes one encoded record, after a description of its columns if the segment lacks it.
    pub(super) fn append(&self, columns: &Columns, encoded: &[u8], wall_ms: i64) -> Result<Written, LogError> {
        let mut state = lock::mutex(&self.state);
        if let Some(failed) = state.previous.iter().chain([&state.segment]).find(|segment| segment.has_failed()) {
            return Err(LogError::Unsynced(failed.path().to_owned()));
        }
        let grown = state.segment.end() + encoded.len() as u64 + SEAL_BYTES;
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
        if state.records == 0 {
            state.first_ms = wall_ms;
        }
        state.records += 1;
        let position = LogPosition { segment: state.number, end_bytes: end };
        Ok(Written { segment: state.segment.clone(), position })
    }

    /// What waits to be loaded.
    pub(super) fn backlog(&self) -> Backlog {
        let state = lock::mutex(&self.state);
        let open = (state.records > 0).then(|| Closed { bytes: state.segment.end(), first_ms: state.first_ms });
        state.closed.values().chain(&open).fold(Backlog::default(), |backlog, segment| Backlog {
            bytes: backlog.bytes + segment.bytes,
            oldest_ms: Some(backlog.oldest_ms.map_or(segment.first_ms, |oldest| oldest.min(segment.first_ms))),
        })
    }

    /// The segment of a number unless it is synced.
    pub(super) fn unsynced(&self, number: i64) -> Option<Arc<SegmentFile>> {
        let state = lock::mutex(&self.state);
        match state.number - number {
            0 => Some(state.segment.clone()),
            1 => state.previous.clone(),
            _ => None,
        }
    }

    /// Closes the open segment and opens the next, without a sync of either: it blocks on the disk only when the
    /// segment before is still not synced.
    fn roll(&self, state: &mut State) -> Result<(), LogError> {
        let waiting = state.closed.values().map(|segment| segment.bytes).sum::<u64>() + state.segment.end();
        if waiting > self.limits.backlog_bytes {
            return Err(LogError::Full { name: self.name.clone(), size_bytes: waiting });
        }
        if let Some(previous) = &state.previous {
            previous.sync(previous.end())?;
        }
        let next =
            SegmentFile::create(&self.folder, state.number + 1, vec![self.folder.clone()], self.sync_file.clone())?;
        let size_bytes = state.segment.append(&record::seal())?;
        let (number, first_ms) = (state.number, state.first_ms);
        state.closed.insert(number, Closed { bytes: size_bytes, first_ms });
        state.number += 1;
        state.previous = Some(std::mem::replace(&mut state.segment, Arc::new(next)));
        state.records = 0;
        state.described.clear();
        Ok(())
    }

    /// Closes the open segment unless it is empty; returns the numbers of all closed segments, which are synced. While
    /// the backlog is full the open segment stays open: only ingesting closed segments makes room.
    pub(super) fn seal(&self) -> Result<Vec<i64>, LogError> {
        let mut state = lock::mutex(&self.state);
        if state.records > 0 {
            match self.roll(&mut state) {
                Ok(()) | Err(LogError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (numbers, previous) = (state.closed.keys().copied().collect(), state.previous.clone());
        drop(state);
        // Without the lock, so that appending continues.
        if let Some(previous) = previous {
            previous.sync(previous.end())?;
        }
        Ok(numbers)
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
    /// A segment to append to, with its whole frames.
    Open(Scan),
    /// It has no record.
    Empty,
    /// A closed segment, or another kind of file.
    Closed,
}

fn inspect_last(path: &Path) -> Result<LastFile, LogError> {
    let bytes = file::read(path)?;
    // A power failure may leave a file's length without its content.
    if bytes.len() < MAGIC.len() || bytes.iter().all(|byte| *byte == 0) {
        return Ok(LastFile::Empty);
    }
    let is_unsealed = bytes.starts_with(MAGIC_UNSEALED);
    if !is_unsealed && !bytes.starts_with(MAGIC) {
        tracing::error!(path = %path.display(), "expected a prediction segment; logging continues in the next one");
        return Ok(LastFile::Closed);
    }
    let scan = scan(path, &bytes);
    if scan.is_sealed {
        return Ok(LastFile::Closed);
    }
    if is_unsealed {
        // Never appended to: closed segments of this kind have no seal, so they are synced before the next one begins.
        file::truncate(path, scan.end)?;
        return Ok(if scan.records > 0 { LastFile::Closed } else { LastFile::Empty });
    }
    Ok(LastFile::Open(scan))
}

/// Opens the closed segment before the open one, which may not be synced yet. Cuts off the torn tail left by a power
/// failure; a segment with its seal was synced, and damage in it is not repaired.
fn open_closed(folder: &Path, number: i64, sync_file: SyncFile) -> Result<SegmentFile, LogError> {
    let path = file::path(folder, number);
    if file::lacks_seal(&path)? {
        let bytes = file::read(&path)?;
        if bytes.starts_with(MAGIC) {
            file::truncate(&path, scan(&path, &bytes).end)?;
        }
    }
    let end = fs::metadata(&path).map_err(LogError::io(&path))?.len();
    SegmentFile::resume(folder, number, end, Vec::new(), sync_file)
}

fn scan(path: &Path, bytes: &[u8]) -> Scan {
    let scan = record::scan(bytes);
    if let Some(reason) = &scan.torn {
        let lost_bytes = bytes.len() as u64 - scan.end;
        tracing::warn!(path = %path.display(), lost_bytes, reason, "cut off the torn tail of a prediction segment");
    }
    scan
}

/// `folder` and its parent folders that belong to the log.
fn folders(folder: &Path, name: &str) -> Vec<PathBuf> {
    let depth = name.split('/').count();
    folder.ancestors().take(depth + 1).map(Path::to_owned).collect()
}
