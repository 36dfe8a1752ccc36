//! A copy of an embedded store while it works.

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
    /// Its folder, below the data folder; whoever asked for the copy moves it away.
    pub folder: PathBuf,
    /// Where each chain of the ledger stood, or earlier, when it was made: the copy verifies with each as `--head`.
    pub heads: Vec<(Chain, Head)>,
}

/// Copies metadata, datasets, staged loads and logged predictions as they are at one moment, with all blobs
/// that they name. Serving goes on; loads wait while the copy is made, which is by links where it can be.
pub async fn create(caller: &Caller) -> Result<StoreCopy> {
    caller.principal.require(Permission::Manage, None)?;
    let kernel = &caller.kernel;
    let data = kernel.store().sqlite_path().and_then(Path::parent).filter(|data| data.join("blobs").is_dir());
    let Some(data) = data else {
        return Err(Error::new(ErrorCode::WrongState, "only a store that lies in one data folder is backed up here")
            .with_hint("stop the server, and copy database, blobs and datasets by the means of what keeps them"));
    };
    let heads = heads(caller).await?;
    let folder = kernel.services.work.join(format!("backup-{}", uuid::Uuid::now_v7().as_simple()));
    if let Err(error) = copy(kernel, data, &folder).await {
        // What is left of it is cleared with the next start.
        let _ = std::fs::remove_dir_all(&folder);
        return Err(error);
    }
    let folder = folder.strip_prefix(data).map(Path::to_owned).unwrap_or(folder);
    Ok(StoreCopy { folder, heads })
}

async fn copy(kernel: &Kernel, data: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(failed)?;
    // From here on no load changes a table, so that tables and metadata are of one moment whatever else
    // is written. Predictions come after the metadata: what it says is in a dataset is in the tables,
    // and what it does not know yet is still logged.
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
    done.map_err(|panic| Error::internal("copying the store ended abruptly", panic))?.map_err(failed)
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

/// Records in the server's chain that this store came back from a backup, with the heads that the backup
/// told: what happened between them and this entry is not here. A second time for the same backup
/// changes nothing, so whoever noted the restore may forget it afterwards.
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
                if !ledger::list_of_subject(tx, Chain::Server, "backup", &subject).await?.is_empty() {
                    return Ok(());
                }
                by.record(tx, LedgerEvent { chain: Chain::Server, noun: "backup", subject, verb: "restore", payload })
                    .await
            })
        })
        .await
}
