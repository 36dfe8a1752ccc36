//! The example projects, inside the binary.

use std::path::Path;

use anyhow::{Context, Result};
use include_dir::{Dir, DirEntry, include_dir};
use perennial_core::ErrorCode;

use crate::args::Example;
use crate::output::refused;

pub(crate) static FLIGHTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/flights");
static FLIGHTS_PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/flights-python");
static WEATHER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples/weather");

impl Example {
    /// Its folders: of two, the second brings the data.
    fn folders(self) -> Vec<&'static Dir<'static>> {
        match self {
            Self::Flights => vec![&FLIGHTS],
            Self::FlightsPython => vec![&FLIGHTS_PYTHON],
            Self::Weather => vec![&WEATHER],
        }
    }
}

/// Writes an example into a folder that is empty or not there.
pub(crate) fn write(example: Example, to: &Path) -> Result<()> {
    if to.exists() && std::fs::read_dir(to)?.next().is_some() {
        let message = format!("{} is not empty", to.display());
        return Err(refused(ErrorCode::AlreadyExists, message, "name a new folder"));
    }
    for folder in example.folders() {
        write_folder(folder, to)?;
    }
    if example == Example::FlightsPython {
        if let Some(data) = FLIGHTS.get_dir("data") {
            write_below(data, to)?;
        }
    }
    Ok(())
}

/// Writes a folder's content.
pub(crate) fn write_folder(folder: &Dir<'_>, to: &Path) -> Result<()> {
    write_below(folder, to)
}

fn write_below(folder: &Dir<'_>, to: &Path) -> Result<()> {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => write_below(inner, to)?,
            DirEntry::File(file) => {
                let place = to.join(file.path());
                if let Some(parent) = place.parent() {
                    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
                }
                std::fs::write(&place, file.contents()).with_context(|| format!("cannot write {}", place.display()))?;
            }
        }
    }
    Ok(())
}

/// Writes one file of the flights' data.
pub(crate) fn deliver(path: &str, to: &Path) -> Result<()> {
    let file = FLIGHTS.get_file(path).with_context(|| format!("the example has no {path}"))?;
    put(&to.join(path), file.contents())
}

/// Puts a file in place at once: whoever lists the folder sees all of it or nothing.
pub(crate) fn put(place: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fresh = place.with_file_name(format!(".{name}.new"));
    std::fs::write(&fresh, content)?;
    std::fs::rename(fresh, place)?;
    Ok(())
}
