//! Validates paths: the only module that turns text into file system paths.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The longest relative path, in bytes.
const PATH_MAX: usize = 1024;

/// Resolves `text` to an existing path inside `root`: relative, without `..`, and no symbolic link on it leaves `root`.
pub(crate) fn resolve_inside(root: &Path, text: &str) -> Result<PathBuf> {
    let relative = validate_relative(text)?;
    let root = root
        .canonicalize()
        .map_err(|cause| Error::storage(format!("opening the source folder `{}`", root.display()), cause))?;
    let path = root.join(relative).canonicalize().map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { noun: "source file", name: text.to_owned() },
        _ => Error::storage(format!("opening `{text}`"), cause),
    })?;
    if path.starts_with(&root) { Ok(path) } else { Err(outside(text)) }
}

/// Validates `text` as a relative path or glob without `..`, without accessing the file system.
pub(crate) fn validate_relative(text: &str) -> Result<&Path> {
    let path = Path::new(text);
    let climbs = path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if text.is_empty() || text.len() > PATH_MAX || text.contains(['\0', '\\']) || climbs {
        return Err(outside(text));
    }
    Ok(path)
}

/// Validates `text` as the folder of a table in the engine's root: names of letters, digits, `_`, `-` and inner dots,
/// joined by `/`.
pub(crate) fn validate_table_path(text: &str) -> Result<&str> {
    let named = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if text.len() <= PATH_MAX && text.split('/').all(named) {
        Ok(text)
    } else {
        Err(Error::Argument(format!("`{}` is not a table path, expected names joined by `/`", text.escape_debug())))
    }
}

fn outside(text: &str) -> Error {
    Error::Argument(format!(
        "`{}` leaves the source folder, expected a relative path without `..` and without links to the outside",
        text.escape_debug()
    ))
}
