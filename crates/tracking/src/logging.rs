//! What runs log: metrics, params, tags, inputs.

use perennial_core::Result;
pub use perennial_core::entity::{MetricPoint, RunBatch};
use perennial_core::entity::{RunInput, RunUpdate};
use perennial_core::id::RunId;
use perennial_core::permission::Permission;
use perennial_store::{Error as StoreError, Page, metrics, runs as rows};

use super::{NAME_TAG, check, limits, sealer_for, writable_run};
use perennial_kernel::Caller;

/// Logs a batch into a run atomically. A param is written once. The ledger records the new digest of a run that has ended.
pub async fn log_batch(caller: &Caller, id: RunId, mut batch: RunBatch) -> Result<()> {
    check::batch(&mut batch)?;
    let name = batch.tags.iter().rev().find(|tag| tag.key == NAME_TAG).map(|tag| tag.value.clone());
    check::length("run_name", name.as_deref().unwrap_or_default(), limits::RUN_NAME_CHARS_MAX)?;
    let sealer = sealer_for(caller, &writable_run(caller, id).await?).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let mut run = rows::log_batch(tx, id, &batch).await?;
                if let Some(name) = name.filter(|name| !name.is_empty()) {
                    run = rows::update(tx, id, &RunUpdate { name: Some(name), ..RunUpdate::default() }).await?;
                }
                sealer.written(tx, &run).await
            })
        })
        .await
}

/// Removes a tag.
pub async fn delete_tag(caller: &Caller, id: RunId, key: String) -> Result<()> {
    let sealer = sealer_for(caller, &writable_run(caller, id).await?).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let run = rows::delete_tag(tx, id, &key).await?;
                sealer.written(tx, &run).await
            })
        })
        .await
}

/// Logs what a run read.
pub async fn log_inputs(caller: &Caller, id: RunId, inputs: Vec<RunInput>) -> Result<()> {
    check::inputs(&inputs)?;
    let sealer = sealer_for(caller, &writable_run(caller, id).await?).await?;
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let run = rows::log_inputs(tx, id, &inputs).await?;
                sealer.written(tx, &run).await
            })
        })
        .await
}

/// Points of a metric by timestamp, step and value; none of a run or metric that is not there.
pub async fn history(
    caller: &Caller,
    id: RunId,
    key: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<MetricPoint>> {
    let mut reader = caller.kernel.store().read().await?;
    let run = match rows::get(&mut reader, id).await {
        Ok(run) => run,
        Err(StoreError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
        Err(error) => return Err(error.into()),
    };
    if !caller.principal.may(Permission::Read, Some(run.project_id)) {
        return Ok(Page { items: Vec::new(), next: None });
    }
    Ok(metrics::history(&mut reader, id, key, after, limit.min(limits::PAGE_MAX)).await?)
}
