//! The outputs that a command left in its folder, checked before they are read: no link leads out of the folder.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use perennial_core::{Error, ErrorCode, Result};

/// Bytes of a `metrics.json` that is read.
const METRICS_BYTES_MAX: u64 = 1024 * 1024;

/// The file or folder at a path below the folder `here`; `None` when it does not exist. Links are refused in every
/// component: the server may read files that the command may not.
pub(super) fn find(here: &Path, path: &str) -> Result<Option<PathBuf>> {
    let mut place = here.to_path_buf();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let Some(found) = find_metadata(&place, path)? else { return Ok(None) };
        if found.is_symlink() {
            return Err(refused(path, "is a link").with_hint("write the file itself there, no link to it"));
        }
        let fits = found.is_dir() || parts.peek().is_none() && found.is_file();
        if !fits {
            return Err(refused(path, "is neither a file nor a folder"));
        }
    }
    Ok(Some(place))
}

/// The Parquet output at a path: a file, or a folder of nothing but files.
pub(super) fn plain(place: &Path, path: &str) -> Result<()> {
    if place.is_file() {
        return Ok(());
    }
    for entry in std::fs::read_dir(place).map_err(|cause| unreadable(path, cause))? {
        let entry = entry.map_err(|cause| unreadable(path, cause))?;
        if !entry.file_type().map_err(|cause| unreadable(path, cause))?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            return Err(refused(&format!("{path}/{name}"), "is not a file")
                .with_hint("a dataset is a Parquet file, or a folder of them"));
        }
    }
    Ok(())
}

/// The text of `metrics.json` below `here`; empty when there is none.
pub(super) fn metrics(here: &Path) -> Result<String> {
    const NAME: &str = "metrics.json";
    let Some(place) = find(here, NAME)? else { return Ok(String::new()) };
    let mut text = String::new();
    let read = File::open(&place).and_then(|file| file.take(METRICS_BYTES_MAX + 1).read_to_string(&mut text));
    let bytes = read.map_err(|cause| unreadable(NAME, cause))?;
    if bytes as u64 > METRICS_BYTES_MAX {
        return Err(refused(NAME, &format!("has more than {METRICS_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn find_metadata(place: &Path, path: &str) -> Result<Option<Metadata>> {
    match std::fs::symlink_metadata(place) {
        Ok(found) => Ok(Some(found)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

fn refused(path: &str, why: &str) -> Error {
    Error::new(ErrorCode::StepFailed, format!("what the step left at `{path}` {why}"))
}

fn unreadable(path: &str, cause: std::io::Error) -> Error {
    refused(path, "cannot be read").with_source(cause)
}

#[cfg(test)]
mod tests;
