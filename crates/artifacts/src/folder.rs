//! Blobs in a local folder, at `<root>/<first two digits>/<digest>`.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perennial_core::blob::{Blob, BlobDigest};

use crate::blobs::LinkMode;
use crate::error::{Error, Result};
use crate::files::{self, Temporary};

/// Unfinished files older than this remain from a crash.
const STALE_AFTER: Duration = Duration::from_hours(24);

/// The subfolder of unfinished blobs; no digest starts with this name.
const UNFINISHED: &str = "unfinished";

/// A local folder of blobs. All calls block.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens or creates the folder, and removes stale unfinished files.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let folder = Self { root: root.to_owned() };
        let unfinished = root.join(UNFINISHED);
        files::create_folder(&unfinished)?;
        for entry in fs::read_dir(&unfinished).map_err(Error::io(&unfinished))? {
            let entry = entry.map_err(Error::io(&unfinished))?;
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STALE_AFTER) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of the blob.
    pub(crate) fn path(&self, digest: BlobDigest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(name)
    }

    /// A new path for an unfinished blob.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.root.join(UNFINISHED).join(uuid::Uuid::now_v7().simple().to_string())
    }

    /// Whether the blob is stored and undamaged. Its bytes are read: a put of the same bytes repairs damage.
    fn holds(&self, blob: Blob) -> Result<bool> {
        let path = self.path(blob.digest);
        Ok(files::size(&path)? == Some(blob.size_bytes) && files::hash(&path)?.digest == blob.digest)
    }

    /// Publishes the complete file at `temporary` under its digest, unless that blob is stored and undamaged.
    pub(crate) fn publish(&self, temporary: &Path, blob: Blob) -> Result<()> {
        let path = self.path(blob.digest);
        if self.holds(blob)? {
            // Another writer synced and renamed it; its directory entry may not be synced yet.
            return files::sync_parent(&path);
        }
        if let Some(parent) = path.parent() {
            files::create_folder(parent)?;
        }
        files::publish(temporary, &path)
    }

    pub(crate) fn put_bytes(&self, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { digest: BlobDigest::of(bytes), size_bytes: bytes.len() as u64 };
        if self.holds(blob)? {
            files::sync_parent(&self.path(blob.digest))?;
            return Ok(blob);
        }
        let temporary = self.unfinished();
        let guard = Temporary(&temporary);
        File::create_new(&temporary).and_then(|mut file| file.write_all(bytes)).map_err(Error::io(&temporary))?;
        self.publish(&temporary, blob)?;
        drop(guard);
        Ok(blob)
    }

    /// Stores a copy of the file: a reflink where the file system supports it, hashed afterwards, so that the stored
    /// bytes are the hashed ones.
    pub(crate) fn put_file(&self, path: &Path) -> Result<Blob> {
        let temporary = self.unfinished();
        let guard = Temporary(&temporary);
        let mut from = File::open(path).map_err(Error::io(path))?;
        let mut to = File::create_new(&temporary).map_err(Error::io(&temporary))?;
        let blob = if reflink_copy::reflink_file(&from, &to).is_ok() {
            files::hash(&temporary)?
        } else {
            to.set_len(0).map_err(Error::io(&temporary))?;
            files::copy_and_hash(&mut from, Some(&mut to)).map_err(Error::io(path))?
        };
        drop(to);
        self.publish(&temporary, blob)?;
        drop(guard);
        Ok(blob)
    }

    /// Opens the blob for reading.
    pub(crate) fn file(&self, digest: BlobDigest) -> Result<(File, u64)> {
        let path = self.path(digest);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(Error::io(&path))?.len();
                Ok((file, size))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFound(digest)),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    pub(crate) fn get_bytes(&self, digest: BlobDigest, limit_bytes: u64) -> Result<Vec<u8>> {
        let (mut file, size_bytes) = self.file(digest)?;
        if size_bytes > limit_bytes {
            return Err(Error::TooLarge { digest, size_bytes, limit_bytes });
        }
        let mut bytes = Vec::with_capacity(size_bytes as usize);
        file.read_to_end(&mut bytes).map_err(Error::io(&self.path(digest)))?;
        files::verify(digest, BlobDigest::of(&bytes))?;
        Ok(bytes)
    }

    /// Opens the blob at the start of `range`, clamped to the blob's size; returns the file and the length.
    pub(crate) fn open_range(&self, digest: BlobDigest, range: &Range<u64>) -> Result<(File, u64)> {
        let (mut file, size) = self.file(digest)?;
        let start = range.start.min(size);
        file.seek(SeekFrom::Start(start)).map_err(Error::io(&self.path(digest)))?;
        Ok((file, range.end.min(size) - start))
    }

    pub(crate) fn exists(&self, digest: BlobDigest) -> Result<bool> {
        Ok(files::size(&self.path(digest))?.is_some())
    }

    pub(crate) fn delete(&self, digest: BlobDigest) -> Result<()> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => files::sync_parent(&path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFound(digest)),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    /// Materializes the blob at `to`, which must not exist: by a reflink, else by a read-only hard link with
    /// [`LinkMode::Link`], else by a copy.
    pub(crate) fn materialize(&self, digest: BlobDigest, to: &Path, mode: LinkMode) -> Result<()> {
        let path = self.path(digest);
        if files::size(&path)?.is_none() {
            return Err(Error::NotFound(digest));
        }
        let reflinked = reflink_copy::reflink(&path, to).is_ok();
        let linked = reflinked || (mode == LinkMode::Link && fs::hard_link(&path, to).is_ok());
        let found = if linked {
            files::hash(to)?.digest
        } else {
            let (mut from, _) = self.file(digest)?;
            let mut file = File::create_new(to).map_err(Error::io(to))?;
            files::copy_and_hash(&mut from, Some(&mut file)).map_err(Error::io(to))?.digest
        };
        if reflinked || !linked {
            fs::set_permissions(to, Permissions::from_mode(0o644)).map_err(Error::io(to))?;
        }
        files::verify(digest, found).inspect_err(|_| {
            let _ = fs::remove_file(to);
        })
    }
}
