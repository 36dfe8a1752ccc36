//! The dataset that a step makes.

use std::sync::PoisonError;

use perennial_core::entity::{LoadOrigin, StepOutput, StepOutputKind};
use perennial_core::id::StepRunId;
use perennial_core::name::DatasetName;
use perennial_core::port::data::{Mode, StageInput};
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::checks::plan;
use perennial_ingest::loads::{LoadOutcome, LoadRequest, ingest_rows};
use perennial_ingest::snapshot::{DatasetAtVersion, declare};
use serde_json::json;

use crate::pipelines::Context;

/// Loads what an attempt made as the next version of a dataset, with the dataset's checks.
pub(super) async fn load(
    context: &Context,
    id: StepRunId,
    name: &DatasetName,
    origin: LoadOrigin,
    input: StageInput,
) -> Result<LoadOutcome> {
    let dataset = declare(&context.caller.kernel, &context.project, name, Mode::Replace, &[]).await?;
    let checks = context.submission.project.checks_of(name);
    let plan = context
        .with_snapshot(|snapshot| plan(checks, |dataset| snapshot.find(dataset).map(DatasetAtVersion::named_table)))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let request = LoadRequest {
        origin,
        origin_id: Some(id.to_string()),
        files: None,
        input,
        evolve: true,
        replaces: None,
        supersedes: None,
        checks: checks.to_vec(),
        plan,
    };
    let writer = context.execution.ingest.writer(&dataset).await;
    ingest_rows(&context.caller, &context.project, &writer, request).await
}

/// Records a dataset version as an output of the attempt, and makes it the one that later steps see.
pub(super) fn record(context: &Context, id: StepRunId, table: DatasetAtVersion) -> StepOutput {
    let output = StepOutput {
        step_run_id: id,
        name: table.dataset.name.to_string(),
        kind: StepOutputKind::Dataset,
        digest: table.version.digest.clone(),
        reference: json!({ "dataset": table.dataset.id, "number": table.version.number }),
    };
    context.snapshot.lock().unwrap_or_else(PoisonError::into_inner).insert(table);
    output
}
