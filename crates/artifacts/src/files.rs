//! Durable file operations: a published file and its directory entry are synced to disk.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use perennial_core::blob::{Blob, BlobDigest};

use crate::error::{Error, Result};

/// Bytes read and hashed at a time.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// The mode of a blob on disk: read-only.
const BLOB_MODE: u32 = 0o444;

/// Reads `from` to its end, writes the bytes to `to` if given, and returns their digest and size.
pub(crate) fn copy_and_hash(from: &mut impl Read, to: Option<&mut File>) -> std::io::Result<Blob> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size_bytes = 0;
    let mut to = to;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        if let Some(to) = to.as_mut() {
            to.write_all(&buffer[..read])?;
        }
        size_bytes += read as u64;
    }
    Ok(Blob { digest: hasher.finalize().into(), size_bytes })
}

/// The digest and size of the file at `path`.
pub(crate) fn hash(path: &Path) -> Result<Blob> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    copy_and_hash(&mut file, None).map_err(Error::io(path))
}

/// Creates `folder` and its missing parents, durably.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) => return Err(Error::io(folder)(error)),
    }
    sync_parent(folder)
}

/// Syncs the folder that contains `path`, so that its entry is on disk.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(Error::io(parent))
}

/// Publishes the complete file at `temporary` as the blob at `path`: makes it read-only, syncs it, renames it and syncs
/// its folder.
pub(crate) fn publish(temporary: &Path, path: &Path) -> Result<()> {
    let file = File::open(temporary).map_err(Error::io(temporary))?;
    file.set_permissions(Permissions::from_mode(BLOB_MODE)).map_err(Error::io(temporary))?;
    file.sync_all().map_err(Error::io(temporary))?;
    fs::rename(temporary, path).map_err(Error::io(path))?;
    sync_parent(path)
}

/// The size of the file at `path`; `None` when there is none.
pub(crate) fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// Removes the file when dropped, unless it was renamed before.
pub(crate) struct Temporary<'a>(pub(crate) &'a Path);

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Fails when it was renamed. A file that stays is removed when the store is opened.
        let _ = fs::remove_file(self.0);
    }
}

/// Returns [`Error::Corrupt`] when the stored bytes do not have the expected digest.
pub(crate) fn verify(digest: BlobDigest, found: BlobDigest) -> Result<()> {
    if digest == found { Ok(()) } else { Err(Error::Corrupt(digest)) }
}
