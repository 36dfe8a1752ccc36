//! What a server that died left of loads.

use perennial_core::Result;
use perennial_core::id::LoadId;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_store::dataset_versions::DatasetVersion;
use perennial_store::datasets::Dataset;
use perennial_store::{dataset_versions, loads};

use super::{digest_after, finish, staged_of};
use crate::app::{App, Caller};
use crate::project::ProjectState;

/// Finishes what a server that died left of a dataset: an open intent is committed or found
/// committed; a load that was staged and never decided is failed, for its file comes again.
/// Gives the version when it finished one. Whoever asks what is new asks this first.
pub(crate) async fn recover_dataset(
    caller: &Caller,
    project: &ProjectState,
    dataset: &Dataset,
) -> Result<Option<DatasetVersion>> {
    let app = &caller.app;
    let mut finished = None;
    let intent = loads::find_intent(&mut *app.store().read().await?, dataset.id).await?;
    if let Some(intent) = intent {
        let load = loads::get(&mut *app.store().read().await?, intent.load_id).await?;
        let base = dataset_versions::find_latest(&mut *app.store().read().await?, dataset.id).await?;
        let all = match staged_of(&load) {
            Some(staged) => digest_after(dataset, base.as_ref(), &staged, &staged.change)?.0 != intent.version.digest,
            None => false,
        };
        finished = Some(finish(caller, dataset, &intent, all).await?);
    }
    let open = loads::list_open(&mut *app.store().read().await?, dataset.id).await?;
    let at = app.now(project);
    for load in open.into_iter().filter(|load| load.state == LoadState::Staged) {
        let id = load.id;
        app.store()
            .write(move |tx| {
                Box::pin(async move {
                    loads::apply(
                        tx,
                        id,
                        LoadEvent::Fail,
                        Some("the server stopped before the load was decided; its rows come again"),
                        at.wall_ms,
                    )
                    .await?;
                    Ok(())
                })
            })
            .await?;
        app.data().discard(id).await?;
    }
    Ok(finished)
}

/// Forgets what servers that died left staged for loads that nobody knows. Before anything is
/// loaded, once a start.
pub async fn sweep(app: &App) -> Result<()> {
    let open = loads::list_open_everywhere(&mut *app.store().read().await?).await?;
    let keep: Vec<LoadId> = open.into_iter().map(|load| load.id).collect();
    app.data().sweep(&keep).await
}
