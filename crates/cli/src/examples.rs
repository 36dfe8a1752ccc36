//! The example projects, inside the binary.

use std::path::Path;

use anyhow::{Context, Result};
use include_dir::{Dir, DirEntry, include_dir};
use perennial_core::ErrorCode;

use crate::args::Example;
use crate::output::user_error;

pub(crate) static FLIGHTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/flights");
static FLIGHTS_PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/flights-python");
static WEATHER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/weather");

impl Example {
    fn folder(self) -> &'static Dir<'static> {
        match self {
            Self::Flights => &FLIGHTS,
            Self::FlightsPython => &FLIGHTS_PYTHON,
            Self::Weather => &WEATHER,
        }
    }
}

/// Writes an example into a folder.
///
/// # Errors
/// `already-exists` if the folder is not empty.
pub(crate) fn write(example: Example, to: &Path) -> Result<()> {
    if to.exists() && std::fs::read_dir(to)?.next().is_some() {
        let message = format!("{} is not empty", to.display());
        return Err(user_error(ErrorCode::AlreadyExists, message, "choose a new folder"));
    }
    write_folder(example.folder(), to)?;
    if example == Example::FlightsPython
        && let Some(data) = FLIGHTS.get_dir("data")
    {
        write_folder(data, to)?;
    }
    Ok(())
}

fn write_folder(folder: &Dir<'_>, to: &Path) -> Result<()> {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => write_folder(inner, to)?,
            DirEntry::File(file) => {
                let path = to.join(file.path());
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
                }
                std::fs::write(&path, file.contents()).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Writes one file of the example `flights`.
pub(crate) fn deliver(path: &str, to: &Path) -> Result<()> {
    let file = FLIGHTS.get_file(path).with_context(|| format!("the example has no file {path}"))?;
    write_at_once(&to.join(path), file.contents())
}

/// Writes a file so that a reader sees either the complete file or none.
pub(crate) fn write_at_once(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.new"));
    std::fs::write(&temporary, content)?;
    std::fs::rename(temporary, path)?;
    Ok(())
}
