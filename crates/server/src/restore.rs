//! The first start after a restore.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, backup};
use serde::Deserialize;

/// The file that describes a backup. It is written last: a folder without it is not a complete backup. A restore copies
/// it into the data folder.
pub const BACKUP_FILE: &str = "backup.json";

/// The fields of the description that a restore needs.
#[derive(Deserialize)]
struct Description {
    /// The heads of the ledger's chains at the backup.
    heads: BTreeMap<String, String>,
}

/// Records in the ledger that the data folder is a restored backup, and removes the description; does nothing for
/// other data folders.
pub(crate) async fn record_restore(caller: &Caller, data: &Path) -> Result<()> {
    let file = data.join(BACKUP_FILE);
    let storage = |cause: std::io::Error| {
        Error::new(ErrorCode::Storage, format!("cannot access {}", file.display())).with_source(cause)
    };
    let text = match std::fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(storage)?,
    };
    let description: Description = serde_json::from_slice(&text).map_err(|cause| {
        Error::new(ErrorCode::Corrupt, format!("cannot parse {}", file.display())).with_source(cause)
    })?;
    backup::record_restore(caller, &description.heads).await?;
    std::fs::remove_file(&file).map_err(storage)
}
