//! Runs.

use perennial_core::entity::{NewRun, RunBatch, Tag};
pub use perennial_core::entity::{Param, Run, RunData, RunInput, RunUpdate};
use std::collections::HashMap;

use perennial_core::Result;
use perennial_core::filter::{parse_run_filter, parse_run_order};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::ledger::Chain;
use perennial_core::permission::Permission;
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_store::runs::RunSearch;
use perennial_store::{Page, experiments as experiment_rows, runs as rows};

use super::check::{self, length, refused};
use super::{NAME_TAG, PARENT_TAG, RunSealer, limits, names, readable_experiment, readable_run, writable_run};
use perennial_kernel::Caller;
use perennial_kernel::ledger::{LedgerEvent, Recorder};

/// A run about to begin.
#[derive(Debug, Clone, Default)]
pub struct Begin {
    /// Its name; one is made up when there is neither name nor tag.
    pub name: Option<String>,
    /// Who begins it, as the client says.
    pub user_id: String,
    /// When it begins, epoch milliseconds.
    pub start_ms: i64,
    /// Its tags; [`PARENT_TAG`] names the run it is part of.
    pub tags: Vec<Tag>,
}

/// What is searched for, in MLflow's words.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The experiments to search; an empty list finds no runs.
    pub experiment_ids: Vec<ExperimentId>,
    /// The filter.
    pub filter: String,
    /// Deleted or not; `None` takes both.
    pub lifecycle: Option<Lifecycle>,
    /// The order, key by key.
    pub order: Vec<String>,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Runs at most.
    pub limit: u32,
}

/// Begins a run. What a step begins without naming a parent becomes part of the step's run.
pub async fn create(caller: &Caller, experiment_id: ExperimentId, begin: Begin) -> Result<(Run, RunData)> {
    let Begin { name, user_id, start_ms, mut tags } = begin;
    check::tags(&mut tags)?;
    let mut given: HashMap<&str, &str> = HashMap::new();
    for tag in &tags {
        if given.insert(&tag.key, &tag.value).is_some() {
            return Err(refused(format!("Duplicate tag keys have been submitted: {}", check::quoted(&tag.key))));
        }
    }
    let tagged = given.get(NAME_TAG).map(|name| (*name).to_owned()).filter(|name| !name.is_empty());
    let parent =
        given.get(PARENT_TAG).filter(|parent| !parent.is_empty()).map(|parent| parent.parse::<RunId>()).transpose()?;
    let name = match (name.filter(|name| !name.is_empty()), tagged.clone()) {
        (Some(name), Some(tagged)) if name != tagged => {
            return Err(refused(format!(
                "Both 'run_name' argument and '{NAME_TAG}' tag are specified, but with different values: `{name}` and `{tagged}`"
            )));
        }
        (name, tagged) => name.or(tagged).unwrap_or_else(names::random),
    };
    length("run_name", &name, limits::RUN_NAME_CHARS_MAX)?;
    let experiment = readable_experiment(caller, experiment_id).await?;
    caller.principal.require(Permission::Write, Some(experiment.project_id))?;
    let parent_run_id = match (parent, caller.principal.run) {
        (Some(parent), Some(_)) => Some(writable_run(caller, parent).await?.run_id),
        (Some(parent), None) => Some(parent),
        (None, Some(own)) => {
            tags.push(Tag { key: PARENT_TAG.to_owned(), value: own.to_string() });
            Some(own)
        }
        (None, None) => None,
    };
    tags.retain(|tag| tag.key != NAME_TAG);
    tags.push(Tag { key: NAME_TAG.to_owned(), value: name.clone() });
    let new = NewRun {
        run_id: RunId::generate(),
        experiment_id,
        parent_run_id,
        name,
        user_id,
        status: RunStatus::Running,
        start_ms,
        tags,
    };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let run = rows::create(tx, &new).await?;
                let data = rows::data(tx, std::slice::from_ref(&run)).await?.pop().unwrap_or_default();
                Ok((run, data))
            })
        })
        .await
}

/// A run with what it logged, deleted ones too.
pub async fn get(caller: &Caller, id: RunId) -> Result<(Run, RunData)> {
    let run = readable_run(caller, id).await?;
    let mut reader = caller.kernel.store().read().await?;
    let data = rows::data(&mut reader, std::slice::from_ref(&run)).await?.pop().unwrap_or_default();
    Ok((run, data))
}

/// Changes status, end or name of a run. The ledger records its end with the digest of its content, every later change,
/// and that an ended run is resumed.
pub async fn update(caller: &Caller, id: RunId, update: RunUpdate) -> Result<Run> {
    let run = writable_run(caller, id).await?;
    let name = update.name.filter(|name| !name.is_empty());
    length("run_name", name.as_deref().unwrap_or_default(), limits::RUN_NAME_CHARS_MAX)?;
    let update = RunUpdate { name, ..update };
    let sealer = RunSealer::new(caller, run.project_id).await?;
    sealer.prepare(caller, id).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let before = rows::get(tx, id).await?.status;
                let mut run = rows::update(tx, id, &update).await?;
                if let Some(name) = update.name {
                    let tags = vec![Tag { key: NAME_TAG.to_owned(), value: name }];
                    run = rows::log_batch(tx, id, &RunBatch { tags, ..RunBatch::default() }).await?;
                }
                if update.status.is_some() && run.status.is_terminal() {
                    sealer.end(tx, &run).await?;
                } else if before.is_terminal() && !run.status.is_terminal() {
                    sealer.resumed(tx, &run).await?;
                } else {
                    sealer.written(tx, &run).await?;
                }
                Ok(rows::get(tx, id).await?)
            })
        })
        .await
}

/// Deletes a run; twice is the same as once.
pub async fn delete(caller: &Caller, id: RunId) -> Result<()> {
    set_lifecycle(caller, id, Lifecycle::Deleted, "delete").await
}

/// Restores a run; twice is the same as once.
pub async fn restore(caller: &Caller, id: RunId) -> Result<()> {
    set_lifecycle(caller, id, Lifecycle::Active, "restore").await
}

async fn set_lifecycle(caller: &Caller, id: RunId, lifecycle: Lifecycle, verb: &'static str) -> Result<()> {
    let run = writable_run(caller, id).await?;
    let by = Recorder::new(caller, Some(run.project_id)).await?;
    let (chain, payload) = (Chain::Project(run.project_id), serde_json::json!({ "name": run.name }));
    let change = LedgerEvent { chain, noun: "run", subject: id.to_string(), verb, payload };
    let now = caller.kernel.services.clock.wall_ms();
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if rows::get(tx, id).await?.lifecycle == lifecycle {
                    return Ok(());
                }
                rows::set_lifecycle(tx, id, lifecycle, now).await?;
                by.record(tx, change).await
            })
        })
        .await
}

/// Runs that match, with what they logged; experiments the caller may not read have none.
pub async fn search(caller: &Caller, search: Search) -> Result<Page<(Run, RunData)>> {
    let clauses = parse_run_filter(&search.filter)?;
    let order = search.order.iter().map(|key| parse_run_order(key)).collect::<Result<Vec<_>>>()?;
    if search.experiment_ids.len() > limits::EXPERIMENTS_MAX {
        return Err(refused(format!("a search names {} experiments at most", limits::EXPERIMENTS_MAX)));
    }
    let mut reader = caller.kernel.store().read().await?;
    let mut experiment_ids = Vec::with_capacity(search.experiment_ids.len());
    let asked: std::collections::HashSet<ExperimentId> = search.experiment_ids.into_iter().collect();
    if asked.len() > 8 {
        let all = experiment_rows::list(&mut reader).await?;
        let readable = all
            .into_iter()
            .filter(|one| asked.contains(&one.id) && caller.principal.may(Permission::Read, Some(one.project_id)));
        experiment_ids.extend(readable.map(|one| one.id));
    } else {
        for id in asked {
            let found = experiment_rows::get(&mut reader, id).await.ok();
            if found.is_some_and(|one| caller.principal.may(Permission::Read, Some(one.project_id))) {
                experiment_ids.push(id);
            }
        }
    }
    let wanted = RunSearch {
        experiment_ids,
        lifecycle: search.lifecycle,
        clauses,
        order,
        after: search.after,
        limit: search.limit,
    };
    let page = rows::search(&mut reader, &wanted).await?;
    let data = rows::data(&mut reader, &page.items).await?;
    Ok(Page { items: page.items.into_iter().zip(data).collect(), next: page.next })
}
