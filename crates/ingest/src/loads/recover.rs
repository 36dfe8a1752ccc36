//! What a server that died left of loads.

use perennial_core::id::LoadId;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::dataset_versions::DatasetVersion;
use perennial_store::datasets::Dataset;
use perennial_store::loads::{Load, LoadIntent};
use perennial_store::{dataset_versions, loads, source_files};

use super::{digest_after, finish, staged_of};
use perennial_kernel::{Caller, Kernel};
use perennial_projects::ProjectState;

/// Finishes what a server that died left of a dataset: an open intent is committed, found
/// committed, or given up when its rows are gone; a load that was staged and never decided is failed, for its file comes again.
/// Gives the version when it finished one. Whoever asks what is new asks this first.
pub async fn recover_dataset(
    caller: &Caller,
    project: &ProjectState,
    dataset: &Dataset,
) -> Result<Option<DatasetVersion>> {
    let kernel = &caller.kernel;
    let mut finished = None;
    let intent = loads::find_intent(&mut *kernel.store().read().await?, dataset.id).await?;
    if let Some(intent) = intent {
        let load = loads::get(&mut *kernel.store().read().await?, intent.load_id).await?;
        let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
        let all = match staged_of(&load) {
            Some(staged) => digest_after(dataset, base.as_ref(), &staged, &staged.change)?.0 != intent.version.digest,
            None => false,
        };
        finished = match finish(caller, dataset, &intent, all).await {
            Ok(version) => Some(version),
            Err(error) if is_void(kernel, dataset, &intent, &error).await? => {
                give_up(kernel, &load, intent, &error).await?;
                None
            }
            Err(error) => return Err(error),
        };
    }
    let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
    let at = project.now();
    for load in open.into_iter().filter(|load| load.state == LoadState::Staged) {
        let id = load.id;
        kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    loads::apply(
                        tx,
                        id,
                        LoadEvent::Fail,
                        Some("it was cut off before it was decided; its rows come again"),
                        at.wall_ms,
                    )
                    .await?;
                    Ok(())
                })
            })
            .await?;
        kernel.data().discard(id).await?;
    }
    Ok(finished)
}

/// Whether what an intent says did not happen and cannot any more: the table stands before it, and the
/// engine says that its rows are not there or do not fit.
async fn is_void(kernel: &Kernel, dataset: &Dataset, intent: &LoadIntent, error: &Error) -> Result<bool> {
    if error.code() != ErrorCode::WrongState {
        return Ok(false);
    }
    let position = kernel.data().position(&dataset.table_path).await?;
    Ok(position.is_none_or(|position| position.number < intent.number))
}

/// Fails a load whose commit cannot be finished: its files are new again.
async fn give_up(kernel: &Kernel, load: &Load, intent: LoadIntent, error: &Error) -> Result<()> {
    tracing::warn!(load.id = %load.id, error = error.chain(), "a load that was to be committed is given up; its rows come again");
    let message = format!("its commit could not be finished: {}", error.message());
    let paths: Vec<String> = load.source_path.iter().flat_map(|paths| paths.lines()).map(str::to_owned).collect();
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
    kernel.data().discard(load.id).await
}

/// Forgets what servers that died left staged for loads that nobody knows. Before anything is
/// loaded, once a start.
pub async fn sweep(kernel: &Kernel) -> Result<()> {
    let open = loads::list_open_everywhere(&mut *kernel.store().read().await?).await?;
    let keep: Vec<LoadId> = open.into_iter().map(|load| load.id).collect();
    kernel.data().sweep(&keep).await
}
