//! Python interpreters.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::tool;
use crate::error::{Error, Result};
use crate::program;

/// The script that describes an interpreter.
const DESCRIBE: &str = "import json, platform, sys, sysconfig
print(json.dumps({
    'executable': sys.executable,
    'version': platform.python_version(),
    'implementation': sys.implementation.name,
    'platform': sysconfig.get_platform(),
    'prefix': sys.prefix,
    'base_prefix': sys.base_prefix,
}))";

/// An interpreter's description of itself.
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
    /// Its prefix; a virtual environment has its own.
    pub(crate) prefix: PathBuf,
    /// The prefix of its standard library.
    pub(crate) base_prefix: PathBuf,
}

impl Python {
    /// The interpreter on the cache's path.
    pub(crate) fn find(cache: &Cache) -> Result<Self> {
        let path =
            ["python3", "python"].into_iter().find_map(|name| program::find(name, cache.path(), Path::new("/")).ok());
        Self::at(cache, &path.ok_or(Error::NoPython)?)
    }

    /// The interpreter that the file at `path` is or starts.
    pub(crate) fn at(cache: &Cache, path: &Path) -> Result<Self> {
        let broken = |reason: String| Error::Python { python: path.to_owned(), reason };
        let description = match identity(path) {
            Some(key) => cache.python(&key, || describe(path))?,
            None => describe(path)?,
        };
        serde_json::from_str(&description).map_err(|error| broken(error.to_string()))
    }

    /// Folders that a program of this interpreter reads.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.prefix.clone(), self.base_prefix.clone()];
        folders.extend(program::installation(&self.executable));
        folders.sort();
        folders.dedup();
        folders
    }

    /// The digest of `text` (requirements or a lock) for this kind of interpreter, on any machine.
    pub(crate) fn digest_with(&self, text: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in ["perennial python 1", &self.implementation, &self.version, &self.platform, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// A key that changes when the interpreter at `path` is replaced; `None` for a script, whose result may depend on
/// its environment, as a version manager's does.
fn identity(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let metadata = real.metadata().ok()?;
    let mut first = [0; 2];
    std::io::Read::read_exact(&mut std::fs::File::open(&real).ok()?, &mut first).ok()?;
    if &first == b"#!" {
        return None;
    }
    // Virtual environments differ by the path that starts them, not by the linked file.
    let text = format!("{}\n{}\n{}.{}", path.display(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    Some(blake3::hash(text.as_bytes()).to_hex().to_string())
}

fn describe(path: &Path) -> Result<String> {
    tool::query(Command::new(path).args(["-I", "-c", DESCRIBE]))?
        .map_err(|reason| Error::Python { python: path.to_owned(), reason })
}
