//! Reads of datasets for people: versions, loads, checks, profile, quarantine, queries.

pub use perennial_core::entity::{CheckResult, Dataset, DatasetVersion, Load, LoadOrigin, Profile};
use std::collections::HashMap;
use std::time::Duration;

use perennial_core::id::{DatasetId, LoadId};
use perennial_core::name::DatasetName;
use perennial_core::permission::Permission;
use perennial_core::port::data::{Page as Rows, QueryRequest};
use perennial_core::state::LoadState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{check_results, dataset_versions, datasets, loads};

use crate::snapshot::{DatasetSnapshot, get_dataset};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

pub use perennial_store::Page;

/// Rows of the answer to a query, at most.
pub const QUERY_ROWS_MAX: usize = 10_000;
/// The time limit of a query: it shares the data engine with loads and steps.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(30);

/// Datasets of a project by name, each with its latest version.
pub async fn list(caller: &Caller, project: &ProjectState) -> Result<Vec<(Dataset, Option<DatasetVersion>)>> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let all = datasets::list(&mut reader, project.id).await?;
    let mut latest = dataset_versions::list_latest(&mut reader, project.id).await?;
    let with_version = all.into_iter().map(|dataset| {
        let position = latest.iter().position(|version| version.dataset_id == dataset.id);
        (dataset, position.map(|position| latest.swap_remove(position)))
    });
    Ok(with_version.collect())
}

/// A dataset with its latest version.
pub async fn get(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
) -> Result<(Dataset, Option<DatasetVersion>)> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let dataset = get_dataset(&mut reader, project.id, name).await?;
    let latest = dataset_versions::find_latest(&mut reader, dataset.id).await?;
    Ok((dataset, latest))
}

/// Versions of a dataset, newest first; the page begins below the number `before`.
pub async fn versions(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
    before: Option<i64>,
    limit: u32,
) -> Result<Page<DatasetVersion>> {
    let dataset = find(caller, project, name).await?;
    Ok(dataset_versions::list(&mut *caller.kernel.store().read().await?, dataset.id, before, limit).await?)
}

/// Loads of a dataset, newest first.
pub async fn loads(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Load>> {
    let dataset = find(caller, project, name).await?;
    Ok(loads::list(&mut *caller.kernel.store().read().await?, dataset.id, after, limit).await?)
}

/// A load of the project.
pub async fn load(caller: &Caller, project: &ProjectState, id: LoadId) -> Result<Load> {
    caller.require(Permission::Read, project.id)?;
    let load = loads::get(&mut *caller.kernel.store().read().await?, id).await?;
    if load.project_id != project.id {
        return Err(Error::not_found("load", id));
    }
    Ok(load)
}

/// Check results of the latest `loads_max` loads of a dataset, latest load first.
pub async fn checks(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
    loads_max: u32,
) -> Result<Vec<(Load, Vec<CheckResult>)>> {
    let dataset = find(caller, project, name).await?;
    let mut reader = caller.kernel.store().read().await?;
    let latest = loads::list(&mut reader, dataset.id, None, loads_max).await?.items;
    let Some(oldest) = latest.last() else { return Ok(Vec::new()) };
    let results = check_results::list_of_dataset(&mut reader, dataset.id, oldest.id).await?;
    Ok(group_by_load(latest, results))
}

/// The latest load of each dataset of a project that has one, with its check results, by the dataset's name.
pub async fn latest_checks(caller: &Caller, project: &ProjectState) -> Result<Vec<(Load, Vec<CheckResult>)>> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let latest = loads::list_latest(&mut reader, project.id).await?;
    let results = check_results::list_of_latest_loads(&mut reader, project.id).await?;
    Ok(group_by_load(latest, results))
}

fn group_by_load(loads: Vec<Load>, results: Vec<CheckResult>) -> Vec<(Load, Vec<CheckResult>)> {
    let mut by_load: HashMap<LoadId, Vec<CheckResult>> = HashMap::new();
    for result in results {
        by_load.entry(result.load_id).or_default().push(result);
    }
    let with_results = loads.into_iter().map(|load| {
        let results = by_load.remove(&load.id).unwrap_or_default();
        (load, results)
    });
    with_results.collect()
}

/// The profile of a load, or of the latest committed load.
pub async fn profile(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
    load: Option<LoadId>,
) -> Result<Option<Profile>> {
    let dataset = find(caller, project, name).await?;
    let mut reader = caller.kernel.store().read().await?;
    let found = match load {
        Some(load) => check_results::find_profile(&mut reader, load).await?,
        None => check_results::find_latest_profile(&mut reader, dataset.id).await?,
    };
    Ok(found.filter(|profile| profile.dataset_id == dataset.id))
}

/// Quarantined rows, latest load first, optionally of one load. They count once their load is committed or held.
pub async fn quarantine(
    caller: &Caller,
    project: &ProjectState,
    name: &DatasetName,
    load: Option<LoadId>,
    limit: usize,
) -> Result<Rows> {
    let dataset = find(caller, project, name).await?;
    let limit = limit.clamp(1, QUERY_ROWS_MAX);
    let mut reader = caller.kernel.store().read().await?;
    let counted = match load {
        Some(id) => vec![loads::get(&mut reader, id).await?],
        // Each of these loads has at least one row: `limit` of them give enough rows.
        None => loads::list_set_aside(&mut reader, dataset.id, limit as u32 + 1).await?,
    };
    drop(reader);
    let counts =
        |load: &Load| load.dataset_id == dataset.id && matches!(load.state, LoadState::Held | LoadState::Committed);
    let counted: Vec<LoadId> = counted.iter().filter(|load| counts(load)).map(|load| load.id).collect();
    in_time(QUERY_TIME_MAX, caller.kernel.data().quarantined(&dataset.table_path, &counted, limit)).await
}

/// Runs a query of a person; one that takes longer than `limit` is cancelled.
async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let message = format!("the query took longer than {} s and was ended", limit.as_secs());
        Err(Error::new(ErrorCode::Timeout, message)
            .with_hint("query fewer rows, or declare a step with `sql` in the project file for a long query"))
    })
}

/// Answers one SELECT over the latest versions of the project's datasets.
pub async fn query(caller: &Caller, project: &ProjectState, sql: String, limit: usize) -> Result<Rows> {
    caller.require(Permission::Read, project.id)?;
    let tables = DatasetSnapshot::latest(&caller.kernel, project.id).await?.named_tables();
    let request = QueryRequest { sql, tables, limit: limit.clamp(1, QUERY_ROWS_MAX) };
    in_time(QUERY_TIME_MAX, caller.kernel.data().query(request)).await
}

/// Names of the project's datasets by id.
pub async fn names(caller: &Caller, project: &ProjectState) -> Result<HashMap<DatasetId, DatasetName>> {
    caller.require(Permission::Read, project.id)?;
    let all = datasets::list(&mut *caller.kernel.store().read().await?, project.id).await?;
    Ok(all.into_iter().map(|dataset| (dataset.id, dataset.name)).collect())
}

async fn find(caller: &Caller, project: &ProjectState, name: &DatasetName) -> Result<Dataset> {
    caller.require(Permission::Read, project.id)?;
    get_dataset(&mut *caller.kernel.store().read().await?, project.id, name).await
}

#[cfg(test)]
mod tests;
