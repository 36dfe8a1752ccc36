//! The cache of locks and environments on disk.
//!
//! `locks/<key>.txt` are locks, `built/<sha256>/` a wheel that was built here, `pythons/<key>.json` descriptions of interpreters, `envs/<digest>` environments. An
//! environment is complete when its seal `envs/<digest>.seal` exists.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::environment::python::Python;
use crate::environment::seal;
use crate::error::{Error, Result};

/// The cache's folder, and the folders of the programs that fill it.
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

    /// The folder of the environment with this digest.
    pub(crate) fn environment(&self, digest: &str) -> PathBuf {
        self.folder.join("envs").join(digest)
    }

    /// The folder of downloaded packages.
    pub(crate) fn downloads(&self) -> Result<PathBuf> {
        let folder = self.folder.join("downloads");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// The folder of the wheel with this SHA-256 digest that was built here.
    pub(crate) fn built(&self, digest: &str) -> PathBuf {
        self.folder.join("built").join(digest)
    }

    /// The folders of the wheels of a lock that were built here.
    pub(crate) fn built_of(&self, lock: &str) -> Vec<PathBuf> {
        let is_digest = |digest: &&str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digests = lock.split_whitespace().filter_map(|word| word.strip_prefix("--hash=sha256:"));
        digests.filter(is_digest).map(|digest| self.built(digest)).filter(|folder| folder.is_dir()).collect()
    }

    /// Keeps a wheel that was built; returns its SHA-256 digest. Reads at most `max_bytes`.
    pub(crate) fn keep_wheel(&self, name: &str, wheel: File, max_bytes: u64) -> Result<String> {
        let temporary = self.folder.join("built").join(uuid::Uuid::now_v7().simple().to_string());
        fs::create_dir_all(&temporary).map_err(Error::io(&temporary))?;
        let path = temporary.join(name);
        let kept = copy_with_digest(wheel, &path, max_bytes).map_err(Error::io(&path));
        let kept = kept.and_then(|digest| {
            // Another build has made the same bytes, or this one is kept.
            match fs::rename(&temporary, self.built(&digest)) {
                Err(_) if self.built(&digest).is_dir() => Ok(digest),
                renamed => renamed.map(|()| digest).map_err(Error::io(&temporary)),
            }
        });
        let _ = fs::remove_dir_all(&temporary);
        kept
    }

    /// A new path for temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.join("temporary").join(uuid::Uuid::now_v7().simple().to_string())
    }

    /// The lock of `requirements` for `python`; `resolve` creates it once.
    pub(crate) fn lock(
        &self,
        python: &Python,
        requirements: &str,
        resolve: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let path = self.folder.join("locks").join(format!("{}.txt", python.digest_with(requirements)));
        get_or_create(&path, resolve)
    }

    /// The description of an interpreter; `query` creates it once per `key`.
    pub(crate) fn python(&self, key: &str, query: impl FnOnce() -> Result<String>) -> Result<String> {
        get_or_create(&self.folder.join("pythons").join(format!("{key}.json")), query)
    }

    /// The folder of the environment with this digest, created by `create` unless it is complete and unchanged.
    /// Processes that need it at the same time wait for each other. An environment left incomplete by a crash, or changed
    /// since it was created, is created again.
    pub(crate) fn build(&self, digest: &str, create: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.environment(digest);
        let parent = self.folder.join("envs");
        let seal = parent.join(format!("{digest}.seal"));
        if seal::is_intact(&folder, &seal)? {
            return Ok(folder);
        }
        fs::create_dir_all(&parent).map_err(Error::io(&parent))?;
        let path = parent.join(format!("{digest}.lock"));
        let guard = File::create(&path).map_err(Error::io(&path))?;
        guard.lock().map_err(Error::io(&path))?;
        if seal::is_intact(&folder, &seal)? {
            return Ok(folder);
        }
        seal::remove(&folder, &seal)?;
        fs::create_dir(&folder).map_err(Error::io(&folder))?;
        // Created in its final folder, because scripts in it contain their interpreter's full path.
        create(&folder)?;
        write(&seal, &seal::seal(&folder)?)?;
        Ok(folder)
    }
}

/// Copies a file and syncs it; returns the SHA-256 digest of its content.
fn copy_with_digest(mut from: File, to: &Path, max_bytes: u64) -> io::Result<String> {
    if from.metadata()?.len() > max_bytes {
        return Err(io::Error::other(format!("it is larger than {} MiB", max_bytes >> 20)));
    }
    let mut copy = File::create_new(to)?;
    let (mut digest, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let length = from.read(&mut part)?;
        if length == 0 {
            break;
        }
        digest.update(&part[..length]);
        copy.write_all(&part[..length])?;
    }
    copy.sync_all()?;
    Ok(format!("{:x}", digest.finalize()))
}

/// The text at `path`, which `create` makes if the file is missing.
fn get_or_create(path: &Path, create: impl FnOnce() -> Result<String>) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(path)(error)),
    }
    let text = create()?;
    write(path, &text)?;
    Ok(text)
}

/// Writes a file atomically.
fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    let temporary = path.with_extension(uuid::Uuid::now_v7().simple().to_string());
    let mut file = File::create_new(&temporary).map_err(Error::io(&temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io(&temporary))?;
    fs::rename(&temporary, path).map_err(Error::io(path))
}
