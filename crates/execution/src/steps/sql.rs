//! `sql` steps: one SELECT over dataset versions becomes the next version of the dataset of its name.

use std::sync::{Arc, PoisonError};

use perennial_core::id::StepRunId;
use perennial_core::name::StepName;
use perennial_core::port::data::{Mode, StageInput};
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::checks::plan;
use perennial_store::loads::LoadOrigin;
use perennial_store::step_runs::{OutputKind, StepOutput};
use serde_json::json;

use super::{Made, dataset_of};
use crate::pipelines::Context;
use perennial_ingest::collect::checks_of;
use perennial_ingest::loads::{Arrival, Arrived, arrive};
use perennial_ingest::snapshot::{Versioned, declare};

pub(super) async fn run(context: &Arc<Context>, step: &StepName, id: StepRunId, file: &str) -> Result<Made> {
    let kernel = &context.caller.kernel;
    let sql = context.submission.declared_text(file)?.to_owned();
    let mut named = Vec::new();
    for table in kernel.data().tables_in(&sql)? {
        named.push(context.table(&table)?.named());
    }
    let name = dataset_of(step)?;
    let dataset = declare(kernel, &context.project, &name, Mode::Replace, &[]).await?;
    let checks = checks_of(&context.submission.project, &name);
    let plan = context
        .with_tables(|tables| plan(&checks, |dataset| tables.find(dataset).map(Versioned::named)))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let arrival = Arrival {
        dataset,
        origin: LoadOrigin::Sql,
        origin_id: Some(id.to_string()),
        file: None,
        input: StageInput::Sql { sql, tables: named },
        evolve: true,
        replaces: None,
        supersedes: None,
        checks,
        plan,
    };
    match arrive(&context.caller, &context.project, arrival).await? {
        Arrived::Held(load, _) => Err(Error::new(
            ErrorCode::LoadHeld,
            load.message.unwrap_or_else(|| format!("the result of step `{step}` is held by its checks")),
        )
        .with_hint(format!("`perennial data quarantine {step}` shows the rows that failed"))),
        Arrived::Committed(versioned, ..) | Arrived::Unchanged(versioned) => Ok(made(context, id, *versioned)),
    }
}

/// Records a dataset version as the step's output, and makes it the one that later steps see.
pub(super) fn made(context: &Context, id: StepRunId, versioned: Versioned) -> Made {
    let output = StepOutput {
        step_run_id: id,
        name: versioned.dataset.name.to_string(),
        kind: OutputKind::Dataset,
        digest: versioned.version.digest.clone(),
        reference: json!({ "dataset": versioned.dataset.id, "number": versioned.version.number }),
    };
    let message = format!(
        "`{}` version {}: {} rows",
        versioned.dataset.name, versioned.version.number, versioned.version.row_count
    );
    context.tables.lock().unwrap_or_else(PoisonError::into_inner).put(versioned);
    Made { outputs: vec![output], message }
}
