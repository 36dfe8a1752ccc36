//! `sql` steps: one SELECT over dataset versions becomes the next version of the dataset of its name.

use std::sync::{Arc, PoisonError};

use perennial_core::entity::{LoadOrigin, StepOutput, StepOutputKind};
use perennial_core::id::StepRunId;
use perennial_core::name::StepName;
use perennial_core::port::data::{Mode, StageInput};
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::checks::plan;
use serde_json::json;

use super::{StepResult, dataset_of};
use crate::pipelines::Context;
use perennial_ingest::collect::checks_of;
use perennial_ingest::loads::{LoadOutcome, LoadRequest, ingest_rows};
use perennial_ingest::snapshot::{DatasetAtVersion, declare};

pub(super) async fn run(context: &Arc<Context>, step: &StepName, id: StepRunId, file: &str) -> Result<StepResult> {
    let kernel = &context.caller.kernel;
    let sql = context.submission.declared_text(file)?.to_owned();
    let mut named = Vec::new();
    for table in kernel.data().tables_in(&sql)? {
        named.push(context.table(&table)?.named_table());
    }
    let name = dataset_of(step)?;
    let dataset = declare(kernel, &context.project, &name, Mode::Replace, &[]).await?;
    let checks = checks_of(&context.submission.project, &name);
    let plan = context
        .with_snapshot(|snapshot| plan(&checks, |dataset| snapshot.find(dataset).map(DatasetAtVersion::named_table)))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let request = LoadRequest {
        origin: LoadOrigin::Sql,
        origin_id: Some(id.to_string()),
        files: None,
        input: StageInput::Sql { sql, tables: named },
        evolve: true,
        replaces: None,
        supersedes: None,
        checks,
        plan,
    };
    let writer = context.execution.ingest.writer(&dataset).await;
    match ingest_rows(&context.caller, &context.project, &writer, request).await? {
        LoadOutcome::Held(load, _) => Err(Error::new(
            ErrorCode::LoadHeld,
            load.message.unwrap_or_else(|| format!("the result of step `{step}` is held by its checks")),
        )
        .with_hint(format!("`perennial data quarantine {step}` shows the rows that failed"))),
        LoadOutcome::Committed(table, ..) | LoadOutcome::Unchanged(table) => Ok(made(context, id, *table)),
    }
}

/// Records a dataset version as the step's output, and makes it the one that later steps see.
pub(super) fn made(context: &Context, id: StepRunId, table: DatasetAtVersion) -> StepResult {
    let output = StepOutput {
        step_run_id: id,
        name: table.dataset.name.to_string(),
        kind: StepOutputKind::Dataset,
        digest: table.version.digest.clone(),
        reference: json!({ "dataset": table.dataset.id, "number": table.version.number }),
    };
    let message =
        format!("`{}` version {}: {} rows", table.dataset.name, table.version.number, table.version.row_count);
    context.snapshot.lock().unwrap_or_else(PoisonError::into_inner).insert(table);
    StepResult { outputs: vec![output], message }
}
