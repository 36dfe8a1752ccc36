//! `sql` steps: one SELECT over dataset versions becomes the next version of the dataset of its name.

use std::sync::Arc;

use perennial_core::entity::LoadOrigin;
use perennial_core::id::StepRunId;
use perennial_core::name::StepName;
use perennial_core::port::data::StageInput;
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::loads::LoadOutcome;

use super::{StepResult, dataset, dataset_of};
use crate::pipelines::Context;

pub(super) async fn run(context: &Arc<Context>, step: &StepName, id: StepRunId, file: &str) -> Result<StepResult> {
    let kernel = &context.caller.kernel;
    let sql = context.submission.declared_text(file)?.to_owned();
    let mut named = Vec::new();
    for table in kernel.data().tables_in(&sql)? {
        named.push(context.table(&table)?.named_table());
    }
    let name = dataset_of(step)?;
    let input = StageInput::Sql { sql, tables: named };
    match dataset::load(context, id, &name, LoadOrigin::Sql, input).await? {
        LoadOutcome::Held(load, _) => Err(Error::new(
            ErrorCode::LoadHeld,
            load.message.unwrap_or_else(|| format!("the result of step `{step}` is held by its checks")),
        )
        .with_hint(format!("`perennial data quarantine {step}` shows the rows that failed"))),
        LoadOutcome::Committed(table, ..) | LoadOutcome::Unchanged(table) => {
            let message =
                format!("`{}` version {}: {} rows", table.dataset.name, table.version.number, table.version.row_count);
            Ok(StepResult { outputs: vec![dataset::record(context, id, *table)], message })
        }
    }
}
