//! Finds programs on `PATH`, as a shell does.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The `PATH` of an environment that sets none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's file: on `path` when the name has no slash, else relative to `folder`.
pub(crate) fn find(program: &str, path: &str, folder: &Path) -> Result<PathBuf> {
    if program.is_empty() {
        return Err(Error::NoCommand);
    }
    if program.contains('/') {
        let path = folder.join(program);
        if is_program(&path) {
            return Ok(path);
        }
        return Err(Error::NoProgram { program: program.to_owned(), searched: "the step's folder".to_owned() });
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
        .ok_or_else(|| Error::NoProgram { program: program.to_owned(), searched: "PATH".to_owned() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Folders a step must be able to read to run the program at `path`: its folder, or the prefix it is installed in
/// (`<prefix>/bin/program`); for the path and for the target of a link.
pub(crate) fn installation(path: &Path) -> Vec<PathBuf> {
    let home = std::env::home_dir();
    let mut folders = Vec::new();
    for path in [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten() {
        let Some(folder) = path.parent() else {
            continue;
        };
        let prefix = folder.parent().filter(|_| folder.ends_with("bin") || folder.ends_with("shims"));
        // Never the whole home folder or the root.
        let chosen = match prefix {
            Some(prefix) if prefix.parent().is_some() && home.as_deref() != Some(prefix) => prefix,
            _ => folder,
        };
        if !folders.iter().any(|known| known == chosen) {
            folders.push(chosen.to_owned());
        }
    }
    folders
}
