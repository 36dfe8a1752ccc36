//! The parts of a data folder beside the metadata, and how each is copied.

use std::fs;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// A folder of the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Delta tables: files that never change once they have their names.
    Tables,
    /// Staged loads: held ones, and those not yet committed.
    Staging,
    /// Prediction logs: numbered segments, the last of which grows.
    Predictions,
    /// Blobs by content.
    Blobs,
    /// Uploaded project folders.
    Sent,
}

impl Part {
    fn folder(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Staging => "staging",
            Self::Predictions => "predictions",
            Self::Blobs => "blobs",
            Self::Sent => "sent",
        }
    }

    /// Whether a file is left out: it is unfinished, or only a running server needs it.
    fn leaves(self, depth: usize, name: &str) -> bool {
        match self {
            Self::Tables => name.contains('#'),
            Self::Staging => depth == 0 && name == "spill",
            Self::Predictions => depth == 0 && name == "lock",
            Self::Blobs => depth == 0 && name == "unfinished",
            Self::Sent => false,
        }
    }

    /// Copies this part from one data folder to another. A file that vanishes meanwhile is no longer needed.
    pub(super) fn mirror(self, from: &Path, to: &Path) -> Result<()> {
        self.walk(&from.join(self.folder()), &to.join(self.folder()), 0)
    }

    fn walk(self, from: &Path, to: &Path, depth: usize) -> Result<()> {
        let Some(entries) = there(fs::read_dir(from))? else { return Ok(()) };
        fs::create_dir_all(to)?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| self.leaves(depth, name)) {
                continue;
            }
            let Some(kind) = there(entry.file_type())? else { continue };
            if kind.is_dir() {
                self.walk(&entry.path(), &to.join(entry.file_name()), depth + 1)?;
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        let growing = (self == Self::Predictions).then(|| last_segment(&files)).flatten();
        for file in &files {
            let place = to.join(file.file_name().unwrap_or_default());
            if growing == Some(file) || fs::hard_link(file, &place).is_err() {
                there(fs::copy(file, &place))?;
            }
        }
        Ok(())
    }
}

/// The segment of the highest number: the only one that may still grow.
fn last_segment(files: &[PathBuf]) -> Option<&PathBuf> {
    files.iter().max_by_key(|file| file.file_stem().and_then(|stem| stem.to_str()?.parse::<i64>().ok()))
}

/// `None` when the file does not exist any more.
fn there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
