//! Judges paths: the one place where text becomes a place in the file system.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The longest relative path taken, in bytes.
const PATH_MAX: usize = 1024;

/// Judges `text` as a path below `root` and resolves it: relative, without `..`, and nothing on its
/// way, symbolic links included, may leave `root`. The place must exist.
pub(crate) fn inside(root: &Path, text: &str) -> Result<PathBuf> {
    let relative = relative(text)?;
    let root = root
        .canonicalize()
        .map_err(|cause| Error::storage(format!("opening the source folder `{}`", root.display()), cause))?;
    let place = root.join(relative).canonicalize().map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { noun: "source file", name: text.to_owned() },
        _ => Error::storage(format!("opening `{text}`"), cause),
    })?;
    if place.starts_with(&root) { Ok(place) } else { Err(leaves(text)) }
}

/// Judges `text` as a relative path or glob that does not climb; nothing is looked up.
pub(crate) fn relative(text: &str) -> Result<&Path> {
    let path = Path::new(text);
    let climbs = path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if text.is_empty() || text.len() > PATH_MAX || text.contains(['\0', '\\']) || climbs {
        return Err(leaves(text));
    }
    Ok(path)
}

/// Judges `text` as the folder of a table below the engine's root: names of letters, digits,
/// `_`, `-` and inner dots, joined by `/`.
pub(crate) fn table(text: &str) -> Result<&str> {
    let named = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if text.len() <= PATH_MAX && text.split('/').all(named) {
        Ok(text)
    } else {
        Err(Error::Argument(format!("`{}` is no place for a table: expected names joined by `/`", text.escape_debug())))
    }
}

fn leaves(text: &str) -> Error {
    Error::Argument(format!(
        "`{}` leaves the source folder: expected a relative path without `..` whose links stay inside",
        text.escape_debug()
    ))
}
