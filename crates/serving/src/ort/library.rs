//! Finding and loading the library.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use perennial_core::{Error, ErrorCode, Result};

/// Names the library first.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The one environment that a process can have; made when the first model needs it.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The ONNX Runtime library of this machine: the one `ORT_DYLIB_PATH` names, else one beside the
/// binary, else one of the Python environment that is active or first on `PATH`. Nothing is loaded.
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

/// Where a Python environment keeps the package's library, one a Python version.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .flat_map(|entry| {
            ["site-packages", "dist-packages"].map(|kind| entry.path().join(kind).join("onnxruntime/capi"))
        })
        .collect()
}

/// `libonnxruntime.so` or one with a version behind it, the highest name first.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let found = names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("libonnxruntime.so") || name == "libonnxruntime.dylib"
    });
    found.max().map(|name| folder.join(name))
}

/// The environment, made with the library at `path` when there is none yet. Sessions are only ever
/// made of it: without a library `ort` would panic.
pub(super) fn environment(path: &Path) -> Result<Environment> {
    let unusable = |why: String| {
        Error::new(ErrorCode::Model, format!("`{}` is no ONNX Runtime library that can be used: {why}", path.display()))
            .hint("`pip install --upgrade onnxruntime`, then name its `capi/libonnxruntime.so…` in `ORT_DYLIB_PATH`")
    };
    if !path.is_file() {
        return Err(unusable("the file does not exist".to_owned()));
    }
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = environment.as_ref() {
        return Ok(environment.clone());
    }
    let builder = ort::init_from(path).map_err(|error| unusable(super::one_line(&error.to_string())))?;
    let made = builder
        .with_name("perennial")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(super::one_line(&error.to_string())))?;
    *environment = Some(made.clone());
    Ok(made)
}
