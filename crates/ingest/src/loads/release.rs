//! Releasing a held load: a person takes the responsibility for its rows.

use std::sync::Arc;

use crate::checks::plan;
use perennial_core::id::LoadId;
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::port::data::{StageInput, Staged};
use perennial_core::state::{LoadEvent, LoadState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::dataset_versions::DatasetVersion;
use perennial_store::datasets::Dataset;
use perennial_store::loads::{Load, LoadIntent};
use perennial_store::{dataset_versions, datasets, loads};
use serde_json::json;

use super::{Arrival, commit, committed_before, judged, recover_dataset, stage_request};
use crate::collect::checks_of;
use perennial_kernel::ledger::LedgerEvent;
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::ProjectState;

use crate::ingest::Ingest;
use crate::snapshot::{Tables, Versioned};
use crate::source_alerts;

impl Ingest {
    /// Commits a held load because a person says so: its passing rows, or every row with `all`. Gives the load as it
    /// is then, and the version it made.
    pub async fn release_load(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        id: LoadId,
        all: bool,
    ) -> Result<(Load, Versioned)> {
        caller.require(Permission::Approve, project.id)?;
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let kernel = &caller.kernel;
        let load = held(caller, project, id).await?;
        let dataset = datasets::get(&mut *kernel.store().read().await?, load.dataset_id).await?;
        recover_dataset(caller, project, &dataset).await?;
        let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
        let (load, staged) = judge_again(caller, project, &dataset, base.as_ref(), load).await?;
        let dataset = Dataset { last_number: base.as_ref().map_or(0, |base| base.number), ..dataset };
        let version =
            commit(caller, &dataset, base.as_ref(), &load, &staged, Vec::new(), LoadEvent::Release, all, project.now())
                .await?;
        let load = loads::get(&mut *kernel.store().read().await?, id).await?;
        source_alerts::follow_data(kernel, project).await;
        Ok((load, Versioned { dataset, version }))
    }
}

/// The load of an id, which a person decides over.
pub(super) async fn held(caller: &Caller, project: &ProjectState, id: LoadId) -> Result<Load> {
    let load = loads::get(&mut *caller.kernel.store().read().await?, id).await?;
    if load.project_id != project.id {
        return Err(Error::not_found("load", id));
    }
    if load.state != LoadState::Held {
        return Err(wrong_state(format!("load `{id}` is {}: only a held one is released or discarded", load.state)));
    }
    Ok(load)
}

/// What the ledger tells: who took the responsibility, for which rows.
pub(super) fn change(dataset: &Dataset, intent: &LoadIntent, all: bool) -> LedgerEvent {
    LedgerEvent {
        chain: Chain::Project(intent.project_id),
        noun: "load",
        subject: intent.load_id.to_string(),
        verb: "release",
        payload: json!({ "dataset": dataset.name, "number": intent.number, "all": all, "digest": intent.version.digest }),
    }
}

/// Stages the rows of a held load again, against the dataset as it stands: since it was held, keys
/// and columns may have come, and checks may have changed.
async fn judge_again(
    caller: &Caller,
    project: &ProjectState,
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    mut load: Load,
) -> Result<(Load, Staged)> {
    let kernel = &caller.kernel;
    let submission = project.submission()?;
    let tables = Tables::newest(kernel, project.id).await?;
    let checks = checks_of(&submission.project, &dataset.name);
    let plan = plan(&checks, |dataset| tables.find(dataset).map(Versioned::named))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let arrival = Arrival {
        dataset: dataset.clone(),
        origin: load.origin,
        origin_id: load.origin_id.clone(),
        file: None,
        input: StageInput::Staged,
        evolve: submission.project.datasets.get(&dataset.name).is_none_or(|declared| declared.evolve),
        replaces: committed_before(kernel, &load).await?,
        supersedes: None,
        checks,
        plan,
    };
    let staged = kernel.data().stage(stage_request(kernel, dataset, base, &arrival, load.id).await?).await?;
    judged(&mut load, &staged)?;
    let again = load.clone();
    kernel.store().write(move |tx| Box::pin(async move { Ok(loads::update_staging(tx, &again).await?) })).await?;
    kernel.data().quarantine(load.id, &dataset.table_path).await?;
    Ok((load, staged))
}
