//! Where the data folder of a project folder is.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use perennial_server::data_folder;

/// A file in `.perennial` that names the data folder if it is somewhere else. Its first line is the path of that
/// `.perennial` folder, its second line the data folder.
const LOCATION_FILE: &str = "elsewhere";

/// The data folder of a project folder: `PERENNIAL_DATA` if set, else that of the last `perennial up`, else
/// `.perennial`.
pub(crate) fn of(project: &Path) -> PathBuf {
    let default = project.join(".perennial");
    std::env::var_os("PERENNIAL_DATA").or_else(|| recorded(&default)).map_or(default, PathBuf::from)
}

fn recorded(default: &Path) -> Option<OsString> {
    let content = std::fs::read(default.join(LOCATION_FILE)).ok()?;
    let end = content.iter().position(|byte| *byte == b'\n')?;
    // In a copy of the project folder the first line differs: the copy is another project with its own data.
    let is_original = default.canonicalize().ok()?.as_os_str().as_bytes() == &content[..end];
    is_original.then(|| OsString::from_vec(content[end + 1..].to_vec()))
}

/// Records the data folder of a project folder, so that later commands in it find the same server.
pub(crate) fn record(project: &Path, data: &Path) -> Result<()> {
    let default = project.join(".perennial");
    let (data, file) = (data.canonicalize()?, default.join(LOCATION_FILE));
    if data != default.canonicalize().unwrap_or_default() {
        data_folder::create(&default)?;
        let default = default.canonicalize()?;
        std::fs::write(file, [default.as_os_str().as_bytes(), b"\n", data.as_os_str().as_bytes()].concat())?;
    } else if file.exists() {
        std::fs::remove_file(file)?;
    }
    Ok(())
}
