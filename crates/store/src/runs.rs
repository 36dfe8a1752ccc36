//! Runs: one execution each, with params, tags, metrics and inputs, as MLflow knows them.

use perennial_core::digest::RunElement;
use perennial_core::entity::{NewRun, Param, Run, RunBatch, RunUpdate, Tag};
use perennial_core::id::{ProjectId, RunId};
use perennial_core::state::{Lifecycle, RunEvent};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::metrics;
use crate::row::{Record, Row};
use crate::value::Bind;

mod content;
mod data;
mod inputs;
mod search;

pub(crate) use content::Content;
pub use data::data;
pub use inputs::{list_inputs, log_inputs};
pub(crate) use search::select;
pub use search::{RunSearch, search};

impl Record for Run {
    const TABLE: &'static str = "runs";
    const KEY: &'static [&'static str] = &["run_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            run_id: row.get("run_id")?,
            project_id: row.get("project_id")?,
            experiment_id: row.get("experiment_id")?,
            parent_run_id: row.get("parent_run_id")?,
            name: row.get("name")?,
            user_id: row.get("user_id")?,
            status: row.get("status")?,
            lifecycle: row.get("lifecycle")?,
            start_ms: row.get("start_ms")?,
            end_ms: row.get("end_ms")?,
            artifact_uri: row.get("artifact_uri")?,
            deleted_ms: row.get("deleted_ms")?,
            sealed_ms: row.get("sealed_ms")?,
            number: row.get("number")?,
        })
    }
}

impl Record for Param {
    const TABLE: &'static str = "params";
    const KEY: &'static [&'static str] = &["key"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { key: row.get("key")?, value: row.get("value")? })
    }
}

/// Makes a run in an experiment that is not deleted; its artifacts go to `<experiment's location>/<run id>/artifacts`.
pub async fn create(tx: &mut Tx, run: &NewRun) -> Result<Run> {
    let values =
        bind![run.run_id, run.experiment_id, run.parent_run_id, run.name, run.user_id, run.status, run.start_ms];
    if tx.execute(sql!("runs/insert"), values).await? == 0 {
        return Err(Error::Refused(format!(
            "a run needs an experiment that is there and not deleted, and an id of its own: experiment `{}`, run `{}`",
            run.experiment_id, run.run_id
        )));
    }
    let made = get(tx, run.run_id).await?;
    let mut content = Content::create(tx, &made).await?;
    set_tags(tx, &made, &run.tags, &mut content).await?;
    content.store(tx).await?;
    Ok(made)
}

/// A run, deleted ones too; an error when there is none.
pub async fn get(conn: &mut Conn, run_id: RunId) -> Result<Run> {
    conn.required(sql!("runs/get"), bind![run_id], "run", run_id).await
}

/// The ids of the runs of a project after `after`, in their order, deleted ones too.
pub async fn list_ids(conn: &mut Conn, project: ProjectId, after: Option<RunId>, limit: u32) -> Result<Vec<RunId>> {
    let after = after.map(|after| after.to_string()).unwrap_or_default();
    let rows: Vec<IdRow> = conn.all(list_sql!("runs/list_ids"), bind![project, after, i64::from(limit)]).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

struct IdRow(RunId);

impl Record for IdRow {
    const TABLE: &'static str = "runs";
    const KEY: &'static [&'static str] = &["run_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self(row.get("run_id")?))
    }
}

/// Changes status, end or name of a run that is not deleted; gives the run as it is then.
pub async fn update(tx: &mut Tx, run_id: RunId, update: &RunUpdate) -> Result<Run> {
    let (run, _) = writable(tx, run_id).await?;
    let status = match update.status {
        Some(wanted) => run.status.transition(RunEvent::to(wanted))?,
        None => run.status,
    };
    let values = bind![run_id, status, update.end_ms, update.name];
    tx.update(sql!("runs/update"), values, "run", run_id).await?;
    get(tx, run_id).await
}

/// Deletes a run or restores it; twice is the same as once.
pub async fn set_lifecycle(tx: &mut Tx, run_id: RunId, lifecycle: Lifecycle, at_ms: i64) -> Result<()> {
    let deleted_ms = (lifecycle == Lifecycle::Deleted).then_some(at_ms);
    tx.update(sql!("runs/set_lifecycle"), bind![run_id, lifecycle, deleted_ms], "run", run_id).await
}

/// Notes that metrics and params of a run entered the ledger.
pub async fn seal(tx: &mut Tx, run_id: RunId, at_ms: i64) -> Result<()> {
    tx.update(sql!("runs/seal"), bind![run_id, at_ms], "run", run_id).await
}

/// Logs a batch into a run that is not deleted, atomically; returns the run.
pub async fn log_batch(tx: &mut Tx, run_id: RunId, batch: &RunBatch) -> Result<Run> {
    let (run, mut content) = writable(tx, run_id).await?;
    add_params(tx, &run, &batch.params, &mut content).await?;
    metrics::log(tx, &run, &batch.metrics, &mut content).await?;
    set_tags(tx, &run, &batch.tags, &mut content).await?;
    content.store(tx).await?;
    Ok(run)
}

/// Removes a tag of a run that is not deleted; an error when there is none. Returns the run.
pub async fn delete_tag(tx: &mut Tx, run_id: RunId, key: &str) -> Result<Run> {
    let (run, mut content) = writable(tx, run_id).await?;
    let deleted: Vec<Tag> = tx.execute_returning(sql!("runs/delete_tag"), bind![run.number, key]).await?;
    let Some(tag) = deleted.first() else { return Err(Error::not_found("tag", key)) };
    content.remove(RunElement::Tag(tag));
    content.store(tx).await?;
    Ok(run)
}

/// A run that is not deleted, with its content locked.
async fn writable(tx: &mut Tx, run_id: RunId) -> Result<(Run, Content)> {
    let content = Content::lock(tx, run_id).await?;
    let run = get(tx, run_id).await?;
    if run.lifecycle == Lifecycle::Deleted {
        return Err(Error::Refused(format!("run `{run_id}` is deleted: restore it before writing to it")));
    }
    Ok((run, content))
}

async fn add_params(tx: &mut Tx, run: &Run, params: &[Param], content: &mut Content) -> Result<()> {
    let mut rows = Vec::with_capacity(params.len() * 3);
    for param in params {
        rows.extend([run.number.value(), param.key.value(), param.value.value()]);
    }
    let added: Vec<Param> = tx.execute_bulk_returning(sql!("runs/insert_param"), &rows).await?;
    for param in &added {
        content.add(RunElement::Param(param));
    }
    if added.len() == params.len() {
        return Ok(());
    }
    for param in params {
        let stored: Option<Param> = tx.optional(sql!("runs/find_param"), bind![run.number, param.key]).await?;
        let Some(stored) = stored.filter(|stored| stored.value != param.value) else {
            continue;
        };
        return Err(Error::Refused(format!(
            "Changing param values is not allowed: run `{}` has param `{}` with value `{}`, new value `{}`",
            run.run_id, param.key, stored.value, param.value
        )));
    }
    Ok(())
}

async fn set_tags(tx: &mut Tx, run: &Run, tags: &[Tag], content: &mut Content) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let last: std::collections::BTreeMap<&str, &Tag> = tags.iter().map(|tag| (tag.key.as_str(), tag)).collect();
    let keys = serde_json::json!(last.keys().collect::<Vec<_>>());
    let replaced: Vec<Tag> = tx.all(list_sql_split!("runs/find_tags"), bind![run.number, keys]).await?;
    for tag in &replaced {
        content.remove(RunElement::Tag(tag));
    }
    let mut rows = Vec::with_capacity(last.len() * 3);
    for tag in last.values() {
        rows.extend([run.number.value(), tag.key.value(), tag.value.value()]);
        content.add(RunElement::Tag(tag));
    }
    tx.execute_bulk(sql!("runs/set_tag"), &rows).await?;
    Ok(())
}
