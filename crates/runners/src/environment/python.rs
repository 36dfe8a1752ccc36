//! Python interpreters.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::tool;
use crate::error::{Error, Result};
use crate::program;

/// What an interpreter is asked for.
const QUESTION: &str = "import json, platform, sys, sysconfig
print(json.dumps({
    'executable': sys.executable,
    'version': platform.python_version(),
    'implementation': sys.implementation.name,
    'platform': sysconfig.get_platform(),
    'prefix': sys.prefix,
    'base_prefix': sys.base_prefix,
}))";

/// An interpreter, as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Python {
    /// Its file.
    pub(crate) executable: PathBuf,
    /// As `3.11.7`.
    pub(crate) version: String,
    /// As `cpython`.
    pub(crate) implementation: String,
    /// As `linux-x86_64`.
    pub(crate) platform: String,
    /// Where it lives; a virtual environment has one of its own.
    pub(crate) prefix: PathBuf,
    /// Where its standard library lives.
    pub(crate) base_prefix: PathBuf,
}

impl Python {
    /// The interpreter on the cache's path.
    pub(crate) fn find(cache: &Cache) -> Result<Self> {
        let place =
            ["python3", "python"].into_iter().find_map(|name| program::find(name, cache.path(), Path::new("/")).ok());
        Self::at(cache, &place.ok_or(Error::NoPython)?)
    }

    /// The interpreter that the file at `place` is or starts.
    pub(crate) fn at(cache: &Cache, place: &Path) -> Result<Self> {
        let broken = |why: String| Error::Python { python: place.to_owned(), why };
        let said = match identity(place) {
            Some(key) => cache.python(&key, || ask(place))?,
            None => ask(place)?,
        };
        serde_json::from_str(&said).map_err(|error| broken(error.to_string()))
    }

    /// Folders a program of this interpreter reads.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.prefix.clone(), self.base_prefix.clone()];
        folders.extend(program::installation(&self.executable));
        folders.sort();
        folders.dedup();
        folders
    }

    /// Names `text` (requirements or a lock) under this kind of interpreter, wherever it lies.
    pub(crate) fn digest_with(&self, text: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in ["perennial python 1", &self.implementation, &self.version, &self.platform, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// What changes when another interpreter stands at `place`; `None` for a script, whose answer may
/// change with the surroundings, as a version manager's does.
fn identity(place: &Path) -> Option<String> {
    let real = place.canonicalize().ok()?;
    let metadata = real.metadata().ok()?;
    let mut first = [0; 2];
    std::io::Read::read_exact(&mut std::fs::File::open(&real).ok()?, &mut first).ok()?;
    if &first == b"#!" {
        return None;
    }
    // A virtual environment is told by the path it is started from, not by the file behind it.
    let text = format!("{}\n{}\n{}.{}", place.display(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    Some(blake3::hash(text.as_bytes()).to_hex().to_string())
}

fn ask(place: &Path) -> Result<String> {
    tool::ask(Command::new(place).args(["-I", "-c", QUESTION]))?
        .map_err(|why| Error::Python { python: place.to_owned(), why })
}
