//! A file in the data folder that a server deletes when the disk is full, so that it can start: the database, its log and
//! the address file need some room.

use std::fs::File;
use std::io;
use std::path::Path;

/// The name of the file.
const RESERVE_FILE: &str = "reserve";
/// Its size where there is room.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// The part of the free room that it takes at most, as a divisor: on a full disk, a start leaves some of its reserve to the
/// next one.
const PART_OF_FREE: u64 = 4;

/// Deletes the reserve of a data folder when less than its size is free. Returns whether it did.
pub(crate) fn release(data: &Path) -> bool {
    let is_short = free_bytes(data).is_some_and(|free| free < RESERVE_BYTES);
    if !is_short || std::fs::remove_file(data.join(RESERVE_FILE)).is_err() {
        return false;
    }
    tracing::error!(data = %data.display(), "the disk is full: its reserve is used to start");
    true
}

/// Makes the reserve when there is none. Without one, a server cannot start on a full disk.
pub(crate) fn keep(data: &Path) {
    let file = data.join(RESERVE_FILE);
    let size = free_bytes(data).map_or(0, |free| RESERVE_BYTES.min(free / PART_OF_FREE));
    if size == 0 || file.exists() {
        return;
    }
    if let Err(error) = allocate(&file, size) {
        tracing::warn!(path = %file.display(), %error, "room for a start on a full disk could not be reserved");
        // An incomplete reserve does not help.
        let _ = std::fs::remove_file(&file);
    }
}

fn allocate(file: &Path, size: u64) -> io::Result<()> {
    let file = File::create(file)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size)?;
    Ok(())
}

/// Bytes that this process may still write; `None` when the system does not report them.
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_kept_while_the_disk_has_room() {
        let data = tempfile::tempdir().unwrap();
        keep(data.path());
        assert_eq!(data.path().join(RESERVE_FILE).metadata().unwrap().len(), RESERVE_BYTES);
        assert!(!release(data.path()), "this disk has room");
        keep(data.path());
    }
}
