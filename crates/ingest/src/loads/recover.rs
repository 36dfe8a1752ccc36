//! Recovery of loads that a crash interrupted.

use perennial_core::entity::{Dataset, DatasetVersion, Load, LoadIntent};
use perennial_core::state::{LoadEvent, LoadState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{dataset_versions, loads, source_files};

use super::commit::finish_commit;
use super::stage::parse_staged;
use super::version_digest::content_after;
use super::writer::DatasetWriter;
use perennial_kernel::{Caller, Kernel};
use perennial_projects::ProjectState;

/// Recovers the loads of a dataset after a crash; called before its new files are discovered. An open intent is
/// committed, or found committed, or abandoned when its rows are gone. A load that was staged and neither held nor begun
/// fails, and its file is new again. Returns the version when a commit was finished.
pub async fn recover_dataset(
    caller: &Caller,
    project: &ProjectState,
    writer: &DatasetWriter,
) -> Result<Option<DatasetVersion>> {
    let (kernel, dataset) = (&caller.kernel, writer.dataset());
    let mut finished = None;
    let intent = loads::find_intent(&mut *kernel.store().read().await?, dataset.id).await?;
    if let Some(intent) = intent {
        let load = loads::get(&mut *kernel.store().read().await?, intent.load_id).await?;
        let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
        // The intent does not record whether every row was to be committed; its digest does.
        let all = match parse_staged(&load) {
            Some(staged) => {
                content_after(dataset, base.as_ref(), &staged, &staged.change)?.digest != intent.version.digest
            }
            None => false,
        };
        finished = match finish_commit(caller, writer, &intent, all).await {
            Ok(version) => Some(version),
            Err(error) if was_never_committed(kernel, dataset, &intent, &error).await? => {
                abandon(kernel, writer, &load, intent, &error).await?;
                None
            }
            Err(error) => return Err(error),
        };
    }
    let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
    let at = project.now();
    for load in open.into_iter().filter(|load| load.state == LoadState::Staged) {
        let id = load.id;
        let message = "it was interrupted before it was committed or held; its rows are loaded again";
        kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    loads::apply(tx, id, LoadEvent::Fail, Some(message), at.wall_ms).await?;
                    Ok(())
                })
            })
            .await?;
        writer.discard(kernel, id).await?;
    }
    Ok(finished)
}

/// Whether the commit of an intent did not happen and cannot happen any more: the table is at an earlier number, and
/// the engine reports that the staged rows are missing or do not fit the table.
async fn was_never_committed(kernel: &Kernel, dataset: &Dataset, intent: &LoadIntent, error: &Error) -> Result<bool> {
    if error.code() != ErrorCode::WrongState {
        return Ok(false);
    }
    let position = kernel.data().position(&dataset.table_path).await?;
    Ok(position.is_none_or(|position| position.number < intent.number))
}

/// Fails a load whose commit cannot be finished: its files are new again.
async fn abandon(
    kernel: &Kernel,
    writer: &DatasetWriter,
    load: &Load,
    intent: LoadIntent,
    error: &Error,
) -> Result<()> {
    tracing::warn!(load.id = %load.id, error = error.chain(), "the commit of a load cannot be finished; its rows are loaded again");
    let message = format!("its commit could not be finished: {}", error.message());
    let paths: Vec<String> = load.paths().map(str::to_owned).collect();
    let at_ms = kernel.services.clock.wall_ms();
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::abandon(tx, &intent, &message, at_ms).await?;
                for path in &paths {
                    source_files::delete(tx, intent.dataset_id, path).await?;
                }
                Ok(())
            })
        })
        .await?;
    writer.discard(kernel, load.id).await
}

/// Discards the staged rows of loads that are not open any more. Called once at a start, before anything is loaded.
pub async fn sweep(kernel: &Kernel) -> Result<()> {
    let keep = loads::list_open_ids(&mut *kernel.store().read().await?).await?;
    kernel.data().sweep(&keep).await
}
