//! Runs: one execution each, with params, tags, metrics and inputs, as MLflow knows them.

use perennial_core::entity::{NewRun, Param, Run, RunBatch, RunUpdate, Tag};
use perennial_core::id::RunId;
use perennial_core::state::{Lifecycle, RunEvent};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::metrics;
use crate::row::{Record, Row};
use crate::value::Bind;

mod data;
mod inputs;
mod search;

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
    set_tags(tx, made.number, &run.tags).await?;
    Ok(made)
}

/// A run, deleted ones too; an error when there is none.
pub async fn get(conn: &mut Conn, run_id: RunId) -> Result<Run> {
    conn.required(sql!("runs/get"), bind![run_id], "run", run_id).await
}

/// The runs that are part of a run, oldest first.
pub async fn list_children(conn: &mut Conn, run_id: RunId) -> Result<Vec<Run>> {
    conn.all(sql!("runs/list_children"), bind![run_id]).await
}

/// Changes status, end or name of a run that is not deleted; gives the run as it is then.
pub async fn update(tx: &mut Tx, run_id: RunId, update: &RunUpdate) -> Result<Run> {
    let run = writable(tx, run_id).await?;
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

/// Logs a batch into a run that is not deleted: all of it or nothing.
pub async fn log_batch(tx: &mut Tx, run_id: RunId, batch: &RunBatch) -> Result<()> {
    let run = writable(tx, run_id).await?;
    add_params(tx, &run, &batch.params).await?;
    metrics::log(tx, run.number, run.experiment_id, &batch.metrics).await?;
    set_tags(tx, run.number, &batch.tags).await
}

/// Removes a tag of a run that is not deleted; an error when it is not there.
pub async fn delete_tag(tx: &mut Tx, run_id: RunId, key: &str) -> Result<()> {
    let run = writable(tx, run_id).await?;
    tx.update(sql!("runs/delete_tag"), bind![run.number, key], "tag", key).await
}

/// A run that may be written.
async fn writable(conn: &mut Conn, run_id: RunId) -> Result<Run> {
    let run = get(conn, run_id).await?;
    if run.lifecycle == Lifecycle::Deleted {
        return Err(Error::Refused(format!("run `{run_id}` is deleted: restore it before writing to it")));
    }
    Ok(run)
}

async fn add_params(tx: &mut Tx, run: &Run, params: &[Param]) -> Result<()> {
    let mut rows = Vec::with_capacity(params.len() * 3);
    for param in params {
        rows.extend([run.number.value(), param.key.value(), param.value.value()]);
    }
    let added = tx.execute_bulk(sql!("runs/insert_param"), &rows).await?;
    if added == params.len() as u64 {
        return Ok(());
    }
    for param in params {
        let kept: Option<Param> = tx.optional(sql!("runs/find_param"), bind![run.number, param.key]).await?;
        let Some(kept) = kept.filter(|kept| kept.value != param.value) else {
            continue;
        };
        return Err(Error::Refused(format!(
            "Changing param values is not allowed: run `{}` has param `{}` with value `{}`, new value `{}`",
            run.run_id, param.key, kept.value, param.value
        )));
    }
    Ok(())
}

async fn set_tags(tx: &mut Tx, run_number: i64, tags: &[Tag]) -> Result<()> {
    let mut last = std::collections::BTreeMap::new();
    for tag in tags {
        last.insert(&tag.key, &tag.value);
    }
    let mut rows = Vec::with_capacity(last.len() * 3);
    for (key, value) in &last {
        rows.extend([run_number.value(), key.value(), value.value()]);
    }
    tx.execute_bulk(sql!("runs/set_tag"), &rows).await?;
    Ok(())
}
