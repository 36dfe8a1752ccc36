//! A segment's file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::error::LogError;
use super::lock;
use super::record::{self, SEAL_BYTES};

/// The header of a segment.
pub(super) const MAGIC: &[u8; 8] = b"PRNLSEG2";

/// The header of segments by earlier versions, which closed a segment without a seal, after a sync.
pub(super) const MAGIC_UNSEALED: &[u8; 8] = b"PRNLSEG1";

/// Syncs a file's content to disk; tests replace it.
pub(super) type SyncFile = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// The path of segment `number`.
pub(super) fn path(folder: &Path, number: i64) -> PathBuf {
    folder.join(format!("{number}.seg"))
}

/// The numbers of the segments in `folder`, ascending; none when the folder is missing.
pub(super) fn numbers(folder: &Path) -> Result<Vec<i64>, LogError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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

/// The bytes of a segment; `None` when it was removed.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io(path)(error)),
    }
}

/// Whether the closed segment at `path` lacks its seal: it was not synced when the power failed.
pub(super) fn lacks_seal(path: &Path) -> Result<bool, LogError> {
    let mut file = File::open(path).map_err(LogError::io(path))?;
    let length = file.metadata().map_err(LogError::io(path))?.len();
    let mut read_at = |start: u64, bytes: &mut [u8]| {
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(bytes));
        read.map_err(LogError::io(path))
    };
    let (mut header, mut end) = ([0; MAGIC.len()], [0; SEAL_BYTES as usize]);
    if length < MAGIC.len() as u64 + SEAL_BYTES {
        return Ok(true);
    }
    read_at(0, &mut header)?;
    read_at(length - SEAL_BYTES, &mut end)?;
    Ok(header == *MAGIC && end.as_slice() != record::seal())
}

/// Cuts the segment at `path` off after its first `end` bytes.
pub(super) fn truncate(path: &Path, end: u64) -> Result<(), LogError> {
    let file = File::options().write(true).open(path).map_err(LogError::io(path))?;
    file.set_len(end).and_then(|()| file.sync_all()).map_err(LogError::io(path))
}

/// Syncs the entries of `folder`.
pub(super) fn sync_folder(folder: &Path) -> Result<(), LogError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LogError::io(folder))
}

/// A segment open for writing.
pub(super) struct SegmentFile {
    path: PathBuf,
    file: File,
    sync_file: SyncFile,
    /// Folders whose entries lead to the file, until they are synced.
    folders: Mutex<Vec<PathBuf>>,
    /// Bytes whose write has returned.
    written: AtomicU64,
    is_dirty: AtomicBool,
    /// Held during a sync.
    syncing: Mutex<()>,
    progress: watch::Sender<SyncProgress>,
}

/// Progress of syncing a segment.
#[derive(Debug, Clone, Copy, Default)]
struct SyncProgress {
    /// Bytes on disk.
    end: u64,
    has_failed: bool,
}

impl SyncProgress {
    /// Whether the first `end` bytes are on disk; `None` when they never will be.
    fn covers(self, end: u64) -> Option<bool> {
        match self {
            Self { end: synced, .. } if synced >= end => Some(true),
            Self { has_failed: true, .. } => None,
            Self { .. } => Some(false),
        }
    }
}

impl SegmentFile {
    /// Creates a segment. Its first sync also syncs the entries of `folders`.
    pub(super) fn create(
        folder: &Path,
        number: i64,
        folders: Vec<PathBuf>,
        sync_file: SyncFile,
    ) -> Result<Self, LogError> {
        let path = path(folder, number);
        // A file with an incomplete header, left by a crash, has no records.
        let mut file = File::create(&path).map_err(LogError::io(&path))?;
        file.write_all(MAGIC).map_err(LogError::io(&path))?;
        Self::resume(folder, number, MAGIC.len() as u64, folders, sync_file)
    }

    /// Opens a segment to append after its first `end` bytes; cuts off the rest. Its first sync also syncs the
    /// entries of `folders`.
    pub(super) fn resume(
        folder: &Path,
        number: i64,
        end: u64,
        folders: Vec<PathBuf>,
        sync_file: SyncFile,
    ) -> Result<Self, LogError> {
        let path = path(folder, number);
        let file = File::options().append(true).open(&path).map_err(LogError::io(&path))?;
        file.set_len(end).map_err(LogError::io(&path))?;
        Ok(Self {
            path,
            file,
            sync_file,
            folders: Mutex::new(folders),
            written: AtomicU64::new(end),
            is_dirty: AtomicBool::new(false),
            syncing: Mutex::default(),
            progress: watch::Sender::new(SyncProgress::default()),
        })
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
                self.progress.send_modify(|progress| progress.has_failed = true);
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
        self.progress.borrow().has_failed
    }

    /// Syncs the first `end` bytes to disk. Blocks; concurrent callers share one sync.
    pub(super) fn sync(&self, end: u64) -> Result<(), LogError> {
        if self.is_synced(end)? {
            return Ok(());
        }
        let _syncing = lock::mutex(&self.syncing);
        if self.is_synced(end)? {
            return Ok(());
        }
        let reached = self.end();
        let outcome = self.sync_all();
        self.progress.send_modify(|progress| match &outcome {
            Ok(()) => progress.end = reached,
            Err(_) => progress.has_failed = true,
        });
        outcome
    }

    fn is_synced(&self, end: u64) -> Result<bool, LogError> {
        let progress = *self.progress.borrow();
        progress.covers(end).ok_or_else(|| LogError::Unsynced(self.path.clone()))
    }

    fn sync_all(&self) -> Result<(), LogError> {
        (self.sync_file)(&self.file).map_err(LogError::io(&self.path))?;
        let mut folders = lock::mutex(&self.folders);
        for folder in folders.iter() {
            sync_folder(folder)?;
        }
        folders.clear();
        Ok(())
    }

    /// Waits until another thread's [`sync`](Self::sync) has reached `end`. Blocks no thread.
    pub(super) async fn synced(&self, end: u64) -> Result<(), LogError> {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.covers(end) != Some(false)).await;
        match reached.ok().and_then(|progress| progress.covers(end)) {
            Some(_) => Ok(()),
            None => Err(LogError::Unsynced(self.path.clone())),
        }
    }
}
