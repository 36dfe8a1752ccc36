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

/// Creates a data folder with mode 0700. An existing one that other users can enter gets that mode, if this process owns it
/// and it is empty or has been a data folder before.
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
        return Ok(());
    }
    if !is_repairable(data, &metadata).map_err(failed)? {
        let message = format!("other users can enter the data folder {}", data.display());
        let hint = format!("`chmod 700 {}`, or name a folder that does not exist yet", data.display());
        return Err(Error::new(ErrorCode::WrongState, message).with_hint(hint));
    }
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(MODE)).map_err(failed)?;
    tracing::warn!(path = %data.display(), "other users could enter the data folder; its mode is 0700 now");
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
