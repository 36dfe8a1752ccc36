//! The seal of an environment: its files are read-only, and a list of them with their digests says whether one was changed
//! since.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Permissions of a sealed folder, and of a file that is a program or not: all may read it, as the users of steps must.
const FOLDER: u32 = 0o555;
const PROGRAM: u32 = 0o555;
const FILE: u32 = 0o444;

/// What an environment consists of, by relative path.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, bytes: u64, modified_ns: i128, digest: String },
    Link { target: PathBuf },
}

/// Makes everything below `folder` read-only; returns the text of its seal.
pub(super) fn seal(folder: &Path) -> Result<String> {
    let mut entries = BTreeMap::new();
    for path in tree(folder)? {
        let metadata = path.symlink_metadata().map_err(Error::io(&path))?;
        let mode = match metadata.mode() & 0o100 {
            _ if metadata.is_dir() => FOLDER,
            0 => FILE,
            _ => PROGRAM,
        };
        if !metadata.is_symlink() {
            fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::io(&path))?;
        }
        let entry = if metadata.is_symlink() {
            Entry::Link { target: fs::read_link(&path).map_err(Error::io(&path))? }
        } else if metadata.is_dir() {
            Entry::Folder { mode }
        } else {
            let digest = digest(&path).map_err(Error::io(&path))?;
            Entry::File { mode, bytes: metadata.len(), modified_ns: modified_ns(&metadata), digest }
        };
        entries.insert(relative(&path, folder), entry);
    }
    serde_json::to_string(&Seal { entries }).map_err(|error| Error::Install(error.to_string()))
}

/// Whether an environment is as it was sealed. Sizes, times and permissions are compared; content only where they differ.
pub(super) fn is_intact(folder: &Path, seal: &Path) -> Result<bool> {
    let text = match fs::read_to_string(seal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text.map_err(Error::io(seal))?,
    };
    let Ok(Seal { entries }) = serde_json::from_str(&text) else { return Ok(false) };
    if !folder.is_dir() {
        return Ok(false);
    }
    let paths = tree(folder)?;
    if paths.len() != entries.len() {
        return Ok(false);
    }
    for path in paths {
        let is_same = match entries.get(&relative(&path, folder)) {
            Some(entry) => is_same(&path, entry).map_err(Error::io(&path))?,
            None => false,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_same(path: &Path, entry: &Entry) -> io::Result<bool> {
    let metadata = path.symlink_metadata()?;
    let is_mode = |mode: u32| metadata.mode() & 0o7777 == mode;
    Ok(match entry {
        Entry::Link { target } => metadata.is_symlink() && fs::read_link(path)? == *target,
        Entry::Folder { mode } => metadata.is_dir() && is_mode(*mode),
        Entry::File { mode, bytes, modified_ns: modified, digest } => {
            metadata.is_file()
                && is_mode(*mode)
                && metadata.len() == *bytes
                && (modified_ns(&metadata) == *modified || self::digest(path)? == *digest)
        }
    })
}

/// Removes an environment and its seal, if there is one.
pub(super) fn remove(folder: &Path, seal: &Path) -> Result<()> {
    match fs::remove_file(seal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(seal)(error)),
        _ => {}
    }
    if !folder.exists() {
        return Ok(());
    }
    // A folder without permission to write keeps its entries.
    for path in tree(folder)? {
        if path.symlink_metadata().map_err(Error::io(&path))?.is_dir() {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(Error::io(&path))?;
        }
    }
    fs::remove_dir_all(folder).map_err(Error::io(folder))
}

/// The folder and everything below it, folders before their entries.
fn tree(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        if path.symlink_metadata().map_err(Error::io(&path))?.is_dir() {
            for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
                paths.push(entry.map_err(Error::io(&path))?.path());
            }
        }
    }
    Ok(paths)
}

fn relative(path: &Path, folder: &Path) -> PathBuf {
    path.strip_prefix(folder).map_or_else(|_| path.to_owned(), Path::to_owned)
}

fn modified_ns(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
