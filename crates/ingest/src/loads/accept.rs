//! Accepting a held load: a person takes responsibility for its rows.

use std::sync::Arc;

use crate::checks::plan;
use perennial_core::entity::{Dataset, DatasetVersion, Load};
use perennial_core::id::LoadId;
use perennial_core::permission::Permission;
use perennial_core::port::data::{StageInput, Staged};
use perennial_core::state::{LoadEvent, LoadState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{dataset_versions, datasets, loads};

use super::commit::{Commit, commit};
use super::recover::recover_dataset;
use super::stage::{LoadRequest, apply_staged, find_replaced, stage_request};
use super::writer::DatasetWriter;
use perennial_kernel::{Caller, wrong_state};
use perennial_projects::ProjectState;

use crate::ingest::Ingest;
use crate::snapshot::{DatasetAtVersion, DatasetSnapshot};
use crate::source_alerts;

impl Ingest {
    /// Commits a held load because a person decides so: its passing rows, or every row with `all`. Returns the committed
    /// load and its version.
    pub async fn accept_load(
        &self,
        caller: &Caller,
        project: &Arc<ProjectState>,
        id: LoadId,
        all: bool,
    ) -> Result<(Load, DatasetAtVersion)> {
        caller.require(Permission::Approve, project.id)?;
        let state = self.state(project.id);
        let _collecting = state.collecting.lock().await;
        let kernel = &caller.kernel;
        let (load, writer) = self.held_load(caller, project, id).await?;
        let dataset = writer.dataset().clone();
        recover_dataset(caller, project, &writer).await?;
        let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
        let base = base.as_ref();
        let (load, staged) = restage(caller, project, &dataset, base, load).await?;
        let dataset = Dataset { last_number: base.map_or(0, |base| base.number), ..dataset };
        let (event, files, at) = (LoadEvent::Accept, Vec::new(), project.now());
        let request = Commit { dataset: &dataset, base, load: &load, staged: &staged, files, event, all, at };
        let version = commit(caller, &writer, request).await?;
        let load = loads::get(&mut *kernel.store().read().await?, id).await?;
        source_alerts::refresh(kernel, project).await;
        Ok((load, DatasetAtVersion { dataset, version }))
    }

    /// A held load of the project, for a person to decide about, with the right to change its dataset.
    pub(super) async fn held_load(
        &self,
        caller: &Caller,
        project: &ProjectState,
        id: LoadId,
    ) -> Result<(Load, DatasetWriter)> {
        let load = get_held(caller, project, id).await?;
        let dataset = datasets::get(&mut *caller.kernel.store().read().await?, load.dataset_id).await?;
        let writer = self.writer(&dataset).await;
        // Another load may have replaced it while this waited.
        Ok((get_held(caller, project, id).await?, writer))
    }
}

/// A held load of the project.
async fn get_held(caller: &Caller, project: &ProjectState, id: LoadId) -> Result<Load> {
    let load = loads::get(&mut *caller.kernel.store().read().await?, id).await?;
    if load.project_id != project.id {
        return Err(Error::not_found("load", id));
    }
    if load.state != LoadState::Held {
        return Err(wrong_state(format!(
            "load `{id}` is {}: only a held load can be accepted or rejected",
            load.state
        )));
    }
    Ok(load)
}

/// Stages the rows of a held load again, against the dataset and its checks as they are now: both may have changed since
/// the load was held.
async fn restage(
    caller: &Caller,
    project: &ProjectState,
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    mut load: Load,
) -> Result<(Load, Staged)> {
    let kernel = &caller.kernel;
    let submission = project.submission()?;
    let snapshot = DatasetSnapshot::latest(kernel, project.id).await?;
    let checks = submission.project.checks_of(&dataset.name);
    let plan = plan(checks, |dataset| snapshot.find(dataset).map(DatasetAtVersion::named_table))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let request = LoadRequest {
        origin: load.origin,
        origin_id: load.origin_id.clone(),
        files: None,
        input: StageInput::Staged,
        evolve: submission.project.datasets.get(&dataset.name).is_none_or(|declared| declared.evolve),
        replaces: find_replaced(kernel, &load).await?,
        supersedes: None,
        checks: checks.to_vec(),
        plan,
    };
    let staged = kernel.data().stage(stage_request(kernel, dataset, base, &request, load.id).await?).await?;
    apply_staged(&mut load, &staged)?;
    let updated = load.clone();
    kernel.store().write(move |tx| Box::pin(async move { Ok(loads::update_staging(tx, &updated).await?) })).await?;
    kernel.data().quarantine(load.id, &dataset.table_path).await?;
    Ok((load, staged))
}
