//! What was resolved and installed before, on disk.
//!
//! `locks/<key>.txt` are locks, `pythons/<key>.json` what interpreters said of
//! themselves, `envs/<digest>` environments, whole once their marker is there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::environment::python::Python;
use crate::error::{Error, Result};

/// The file that says that an environment is whole.
const MARKER: &str = ".perennial-complete";

/// The cache's folder, and where the programs are that fill it.
pub(crate) struct Cache {
    folder: PathBuf,
    path: String,
}

impl Cache {
    pub(crate) fn new(folder: &Path, path: &str) -> Self {
        Self { folder: folder.to_owned(), path: path.to_owned() }
    }

    /// Folders of programs, as in `PATH`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where the environment of this digest lies, or will.
    pub(crate) fn environment(&self, digest: &str) -> PathBuf {
        self.folder.join("envs").join(digest)
    }

    /// Where downloaded packages are kept.
    pub(crate) fn downloads(&self) -> Result<PathBuf> {
        let folder = self.folder.join("downloads");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// A new path for files that nobody needs later.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.join("temporary").join(uuid::Uuid::now_v7().simple().to_string())
    }

    /// The lock of `requirements` under `python`, made by `resolve` once.
    pub(crate) fn lock(
        &self,
        python: &Python,
        requirements: &str,
        resolve: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let place = self.folder.join("locks").join(format!("{}.txt", python.digest_with(requirements)));
        remember(&place, resolve)
    }

    /// What an interpreter said of itself, asked by `ask` once for each `key`.
    pub(crate) fn python(&self, key: &str, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        remember(&self.folder.join("pythons").join(format!("{key}.json")), ask)
    }

    /// The environment of this digest, made by `make` unless it is whole already. Two processes
    /// that need it wait for each other; what a crash left half-made is made anew.
    pub(crate) fn build(&self, digest: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.environment(digest);
        let marker = folder.join(MARKER);
        if marker.exists() {
            return Ok(folder);
        }
        let above = self.folder.join("envs");
        fs::create_dir_all(&above).map_err(Error::io(&above))?;
        let place = above.join(format!("{digest}.lock"));
        let guard = File::create(&place).map_err(Error::io(&place))?;
        guard.lock().map_err(Error::io(&place))?;
        if marker.exists() {
            return Ok(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        fs::create_dir(&folder).map_err(Error::io(&folder))?;
        // Made where it stays: scripts inside name their interpreter by its full path.
        make(&folder)?;
        write(&marker, digest)?;
        Ok(folder)
    }
}

/// The text at `place`, made once.
fn remember(place: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match fs::read_to_string(place) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(place)(error)),
    }
    let text = make()?;
    write(place, &text)?;
    Ok(text)
}

/// Writes a file whole or not at all.
fn write(place: &Path, text: &str) -> Result<()> {
    if let Some(above) = place.parent() {
        fs::create_dir_all(above).map_err(Error::io(above))?;
    }
    let temporary = place.with_extension(uuid::Uuid::now_v7().simple().to_string());
    let mut file = File::create_new(&temporary).map_err(Error::io(&temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io(&temporary))?;
    fs::rename(&temporary, place).map_err(Error::io(place))
}
