//! The data folder, which only its owner can read: it holds predictions, tokens and the datasets of every project.

use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use perennial_core::{Error, ErrorCode, Result};

#[cfg(test)]
mod tests;

/// The permissions of a data folder.
const MODE: u32 = 0o700;

/// The permissions of other users, of which a data folder gives none.
const OTHERS: u32 = 0o077;

/// Files and folders of which a data folder has at least one.
const CONTENT: [&str; 5] = ["lock", "metadata.sqlite", "blobs", "tables", "elsewhere"];

/// Files in a data folder that a server before this one may have made readable by others.
const FILES: [&str; 4] = ["lock", "metadata.sqlite", "metadata.sqlite-wal", "metadata.sqlite-shm"];

/// Creates a data folder with mode 0700. An existing one that other users can enter gets that mode, if this process owns it
/// and it is empty or has been a data folder before. Its files lose the permissions of others.
///
/// # Errors
/// If it cannot be created, or if other users can enter it and it is none of these: the hint names the command.
pub fn create(data: &Path) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::new(ErrorCode::Storage, format!("cannot create the data folder {}", data.display())).with_source(cause)
    };
    std::fs::DirBuilder::new().recursive(true).mode(MODE).create(data).map_err(failed)?;
    let metadata = std::fs::metadata(data).map_err(failed)?;
    if metadata.mode() & OTHERS == 0 {
        return keep_content_private(data).map_err(failed);
    }
    if !is_repairable(data, &metadata).map_err(failed)? {
        let message = format!("other users can enter the data folder {}", data.display());
        let hint = format!("`chmod 700 {}`, or name a folder that does not exist yet", data.display());
        return Err(Error::new(ErrorCode::WrongState, message).with_hint(hint));
    }
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(MODE)).map_err(failed)?;
    tracing::warn!(path = %data.display(), "other users could enter the data folder; its mode is 0700 now");
    keep_content_private(data).map_err(failed)
}

/// Takes the permissions of others from the metadata: they stay when the folder is copied or moved.
fn keep_content_private(data: &Path) -> std::io::Result<()> {
    for path in FILES.map(|name| data.join(name)) {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.is_file() && metadata.mode() & OTHERS != 0 {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(metadata.mode() & MODE))?;
            tracing::warn!(path = %path.display(), "other users had permissions on a file of the data folder; they have none now");
        }
    }
    Ok(())
}

fn is_repairable(data: &Path, metadata: &Metadata) -> std::io::Result<bool> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    Ok(CONTENT.iter().any(|name| data.join(name).exists()) || std::fs::read_dir(data)?.next().is_none())
}

/// Files and folders that this process creates from now on are readable by their owner alone.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(OTHERS));
}
