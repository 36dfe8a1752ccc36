//! Finding a program as a shell would, without one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where programs are looked for when an environment names no `PATH`.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's file: on `path` when the name has no slash, else relative to `folder`.
pub(crate) fn find(program: &str, path: &str, folder: &Path) -> Result<PathBuf> {
    if program.is_empty() {
        return Err(Error::NoCommand);
    }
    if program.contains('/') {
        let place = folder.join(program);
        if is_program(&place) {
            return Ok(place);
        }
        return Err(Error::NoProgram { program: program.to_owned(), searched: "the step's folder".to_owned() });
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|place| is_program(place))
        .ok_or_else(|| Error::NoProgram { program: program.to_owned(), searched: "PATH".to_owned() })
}

fn is_program(place: &Path) -> bool {
    place.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Folders a step needs to read to run the program at `place`: where it lies, and the tree it was
/// installed in (`<prefix>/bin/program`), for the path itself and for what it links to.
pub(crate) fn installation(place: &Path) -> Vec<PathBuf> {
    let home = std::env::home_dir();
    let mut folders = Vec::new();
    for place in [Some(place.to_owned()), place.canonicalize().ok()].into_iter().flatten() {
        let Some(folder) = place.parent() else {
            continue;
        };
        let prefix = folder.parent().filter(|_| folder.ends_with("bin") || folder.ends_with("shims"));
        // Never a whole home or the root for the sake of one program in it.
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
