//! Finds and loads the ONNX Runtime library.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use perennial_core::text::one_line;
use perennial_core::{Error, ErrorCode, Result};

/// The environment variable that names the library.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The environment, of which a worker has one; created when its model is loaded.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The path of the ONNX Runtime library on this machine: the value of `ORT_DYLIB_PATH`, else a library beside
/// the binary, else one in the active Python environment or in the first one on `PATH`. Loads nothing.
pub fn find_library() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let beside = env::current_exe().ok().and_then(|binary| binary.parent().map(Path::to_owned));
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path)
        .filter(|folder| folder.join("python3").is_file())
        .find_map(|folder| folder.parent().map(Path::to_owned));
    let environments = [active, on_path].into_iter().flatten().flat_map(|prefix| packages(&prefix));
    beside.into_iter().chain(environments).find_map(|folder| library_in(&folder))
}

/// Folders that hold the library in a Python environment, one per Python version.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .flat_map(|entry| {
            ["site-packages", "dist-packages"].map(|kind| entry.path().join(kind).join("onnxruntime/capi"))
        })
        .collect()
}

/// The file `libonnxruntime.so` or its versioned name; of several the highest.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let found = names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("libonnxruntime.so") || name == "libonnxruntime.dylib"
    });
    found.max().map(|name| folder.join(name))
}

/// Refuses a library that does not exist.
pub(super) fn validate(path: &Path) -> Result<()> {
    if path.is_file() { Ok(()) } else { Err(unusable(path, "the file does not exist")) }
}

fn unusable(path: &Path, reason: &str) -> Error {
    Error::new(ErrorCode::Model, format!("cannot use `{}` as ONNX Runtime library: {reason}", path.display()))
        .with_hint("`pip install --upgrade onnxruntime`, then name its `capi/libonnxruntime.so…` in `ORT_DYLIB_PATH`")
}

/// The environment; the first call creates it with the library at `path`. Every session is created from it,
/// because `ort` panics without a library.
pub(super) fn environment(path: &Path) -> Result<Environment> {
    let unusable = |reason: String| unusable(path, &reason);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = environment.as_ref() {
        return Ok(environment.clone());
    }
    let builder = ort::init_from(path).map_err(|error| unusable(one_line(&error.to_string())))?;
    let created = builder
        .with_name("perennial")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(one_line(&error.to_string())))?;
    *environment = Some(created.clone());
    Ok(created)
}
