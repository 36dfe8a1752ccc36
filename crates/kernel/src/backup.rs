//! Backup of an embedded store while it is in use.

mod part;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use perennial_core::ledger::{Chain, Head};
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::ledger;
use serde_json::json;

use crate::ledger::{LedgerEvent, Recorder};
use crate::{Caller, Kernel};
use part::Part;

/// A copy of an embedded store.
#[derive(Debug, Clone)]
pub struct StoreCopy {
    /// Its folder, below the data folder; the caller moves it away.
    pub folder: PathBuf,
    /// A head of each ledger chain at or before the time of the copy: the copy verifies with each as `--head`.
    pub heads: Vec<(Chain, Head)>,
}

/// Copies metadata, datasets, staged loads and logged predictions as of one moment, with all blobs that they name.
/// Serving continues; loads wait until the copy is done. Files are hard-linked where the file system allows it.
pub async fn create(caller: &Caller) -> Result<StoreCopy> {
    caller.principal.require(Permission::Manage, None)?;
    let kernel = &caller.kernel;
    let blobs = kernel.services.blobs.folder();
    let data = kernel.store().sqlite_path().and_then(Path::parent);
    let is_whole = |data: &&Path| blobs.is_some_and(|blobs| blobs == data.join("blobs") && blobs.is_dir());
    let data = data.filter(is_whole);
    let Some(data) = data else {
        return Err(Error::new(
            ErrorCode::WrongState,
            "only a store in one data folder can be backed up by this command",
        )
        .with_hint(
            "stop the server, then back up the database, the blobs and the datasets with the tools of their storage",
        ));
    };
    let heads = heads(caller).await?;
    let folder = kernel.services.work.join(format!("backup-{}", uuid::Uuid::now_v7().as_simple()));
    if let Err(error) = copy(kernel, data, &folder).await {
        // The next start removes what is left of it.
        let _ = std::fs::remove_dir_all(&folder);
        return Err(error);
    }
    let folder = folder.strip_prefix(data).map(Path::to_owned).unwrap_or(folder);
    Ok(StoreCopy { folder, heads })
}

async fn copy(kernel: &Kernel, data: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(failed)?;
    // From here on no load changes a table, so that tables and metadata are of the same moment. Predictions are
    // copied after the metadata: a segment that the metadata calls loaded is in the tables, any other is still in the
    // log.
    let still = kernel.data().pause_writes().await;
    kernel.store().backup(&to.join("metadata.sqlite")).await?;
    mirror(data, to, &[Part::Tables, Part::Staging, Part::Predictions]).await?;
    drop(still);
    mirror(data, to, &[Part::Blobs, Part::Sent]).await
}

async fn mirror(data: &Path, to: &Path, parts: &'static [Part]) -> Result<()> {
    let (data, to) = (data.to_owned(), to.to_owned());
    let work = move || parts.iter().try_for_each(|part| part.mirror(&data, &to));
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| Error::internal("copying the store panicked", panic))?.map_err(failed)
}

fn failed(cause: std::io::Error) -> Error {
    Error::new(ErrorCode::Storage, "the store could not be copied").with_source(cause)
}

async fn heads(caller: &Caller) -> Result<Vec<(Chain, Head)>> {
    let mut reader = caller.kernel.store().read().await?;
    let mut heads = Vec::new();
    for chain in ledger::list_chains(&mut reader).await? {
        heads.push((chain, ledger::head(&mut reader, chain).await?));
    }
    Ok(heads)
}

/// Records in the server's chain that this store was restored from a backup with the given heads: changes between them
/// and this entry are lost. Idempotent for one backup, so the note of the restore may be deleted afterwards.
pub async fn record_restore(caller: &Caller, heads: &BTreeMap<String, String>) -> Result<()> {
    caller.principal.require(Permission::Manage, None)?;
    let payload = json!({ "heads": heads });
    let subject = blake3::hash(payload.to_string().as_bytes()).to_hex().to_string();
    let by = Recorder::new(caller, None).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if ledger::has_subject(tx, Chain::Server, "backup", &subject).await? {
                    return Ok(());
                }
                by.record(tx, LedgerEvent { chain: Chain::Server, noun: "backup", subject, verb: "restore", payload })
                    .await
            })
        })
        .await
}
