//! Durable file operations: what is renamed into place is on disk, and so is its name.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use perennial_core::blob::{Blob, BlobDigest};

use crate::error::{Error, Result};

/// Bytes read and hashed at a time.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// The mode of a blob on disk: nobody writes it any more.
const BLOB_MODE: u32 = 0o444;

/// Reads everything from `from`, writes it to `to` if given, and names what it was.
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

/// Names the content of the file at `path`.
pub(crate) fn hash(path: &Path) -> Result<Blob> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    copy_and_hash(&mut file, None).map_err(Error::io(path))
}

/// Makes `folder` and what is missing above it, durably.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_folder(above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) => return Err(Error::io(folder)(error)),
    }
    sync_above(folder)
}

/// Brings the entry of `path` in its folder to disk.
pub(crate) fn sync_above(path: &Path) -> Result<()> {
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    File::open(above).and_then(|folder| folder.sync_all()).map_err(Error::io(above))
}

/// Makes the finished file at `temporary` the blob at `place`: read-only, synced, renamed, its
/// folder synced.
pub(crate) fn settle(temporary: &Path, place: &Path) -> Result<()> {
    let file = File::open(temporary).map_err(Error::io(temporary))?;
    file.set_permissions(Permissions::from_mode(BLOB_MODE)).map_err(Error::io(temporary))?;
    file.sync_all().map_err(Error::io(temporary))?;
    fs::rename(temporary, place).map_err(Error::io(place))?;
    sync_above(place)
}

/// Whether the file at `path` is there and has this size; `None` when it is not there.
pub(crate) fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// A file that is removed when it was not renamed before.
pub(crate) struct Temporary<'a>(pub(crate) &'a Path);

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Gone when it was renamed; a left-over is removed when the store is opened.
        let _ = fs::remove_file(self.0);
    }
}

/// Says that `digest` was promised but `found` was there.
pub(crate) fn agree(digest: BlobDigest, found: BlobDigest) -> Result<()> {
    if digest == found { Ok(()) } else { Err(Error::Corrupt(digest)) }
}
