//! A copy of an embedded store while it works.

use std::path::PathBuf;

use perennial_core::ledger::{Chain, Head};
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::ledger;

use crate::app::Caller;

/// A copy of the metadata.
#[derive(Debug, Clone)]
pub struct StoreCopy {
    /// Its file, in the folder of the store itself.
    pub file: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// Where each chain of the ledger stood, or earlier, when it was made: the copy verifies with each as `--head`.
    pub heads: Vec<(Chain, Head)>,
}

/// Copies the metadata as it is at this moment beside the store; writes go on meanwhile. Blobs and
/// tables are never changed once written, so a copy of their folders made afterwards holds all that
/// this names. Whoever asked for the copy moves it away.
pub async fn store(caller: &Caller) -> Result<StoreCopy> {
    caller.principal.require(Permission::Manage, None)?;
    let store = caller.app.store();
    let Some(folder) = store.sqlite_path().and_then(std::path::Path::parent) else {
        return Err(Error::new(ErrorCode::WrongState, "only an embedded store is backed up here")
            .hint("use pg_dump for PostgreSQL, and copy the blobs afterwards"));
    };
    let heads = heads(caller).await?;
    let file = folder.join(format!("backup-{}.sqlite", uuid::Uuid::now_v7().as_simple()));
    store.backup(&file).await?;
    let size_bytes =
        std::fs::metadata(&file).map_err(|cause| Error::internal("the copy of the store is gone", cause))?.len();
    Ok(StoreCopy { file, size_bytes, heads })
}

async fn heads(caller: &Caller) -> Result<Vec<(Chain, Head)>> {
    let mut reader = caller.app.store().read().await?;
    let mut heads = Vec::new();
    for chain in ledger::list_chains(&mut reader).await? {
        heads.push((chain, ledger::head(&mut reader, chain).await?));
    }
    Ok(heads)
}
