//! Releasing a held load: a person takes the responsibility for its rows.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use perennial_validation::plan;
use serde_json::json;

use super::{Arrival, commit, committed_before, judged, recover_dataset, stage_request};
use crate::alerts;
use crate::app::{Caller, wrong_state};
use crate::collect::checks_of;
use crate::ledger::Change;
use crate::project::ProjectState;
use crate::tables::{Tables, Versioned};

/// Commits a held load because a person says so: its passing rows, or every row with `all`. Gives the load as it
/// is then, and the version it made.
pub async fn release(caller: &Caller, project: &Arc<ProjectState>, id: LoadId, all: bool) -> Result<(Load, Versioned)> {
    caller.require(Permission::Approve, project)?;
    let _collecting = project.collecting.lock().await;
    let app = &caller.app;
    let load = held(caller, project, id).await?;
    let dataset = datasets::get(&mut *app.store().read().await?, load.dataset_id).await?;
    recover_dataset(caller, project, &dataset).await?;
    let base = dataset_versions::find_latest(&mut *app.store().read().await?, dataset.id).await?;
    let (load, staged) = judge_again(caller, project, &dataset, base.as_ref(), load).await?;
    let dataset = Dataset { last_number: base.as_ref().map_or(0, |base| base.number), ..dataset };
    let version =
        commit(caller, &dataset, base.as_ref(), &load, &staged, Vec::new(), LoadEvent::Release, all, app.now(project))
            .await?;
    let load = loads::get(&mut *app.store().read().await?, id).await?;
    alerts::follow_data(app, project, &BTreeMap::new()).await;
    Ok((load, Versioned { dataset, version }))
}

/// The load of an id, which a person decides over.
pub(super) async fn held(caller: &Caller, project: &ProjectState, id: LoadId) -> Result<Load> {
    let load = loads::get(&mut *caller.app.store().read().await?, id).await?;
    if load.project_id != project.id {
        return Err(Error::not_found("load", id));
    }
    if load.state != LoadState::Held {
        return Err(wrong_state(format!("load `{id}` is {}: only a held one is released or discarded", load.state)));
    }
    Ok(load)
}

/// What the ledger tells: who took the responsibility, for which rows.
pub(super) fn change(dataset: &Dataset, intent: &LoadIntent, all: bool) -> Change {
    Change {
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
    let app = &caller.app;
    let submission = project.submission()?;
    let tables = Tables::newest(app, project.id).await?;
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
        replaces: committed_before(app, &load).await?,
        supersedes: None,
        checks,
        plan,
    };
    let staged = app.data().stage(stage_request(app, dataset, base, &arrival, load.id).await?).await?;
    judged(&mut load, &staged)?;
    let again = load.clone();
    app.store().write(move |tx| Box::pin(async move { Ok(loads::judge_again(tx, &again).await?) })).await?;
    app.data().quarantine(load.id, &dataset.table_path).await?;
    Ok((load, staged))
}
