//! The quarantine of a table: quarantined rows as text, with load and reason.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StringArray};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::prelude::{ident, lit};
use deltalake::DeltaResult;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, MetadataExt, Remove, StructType, Transaction};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use perennial_core::id::LoadId;
use perennial_core::port::data::Page;
use serde_json::Value as Json;

use super::commit::{ATTEMPTS_MAX, is_conflict, put_file};
use super::{OpenTable, Tables};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::parquet::FileSink;
use crate::sql::{Sql, cell_json};
use crate::staging_area::StagingArea;
use crate::types::{ADMITTED, LOAD, REASON};

/// The name of a table's quarantine table.
pub(crate) fn name_of(table: &str) -> String {
    format!("{table}.quarantine")
}

/// Writes the quarantined rows of `area` to the quarantine of `table`. Idempotent: rows of a load that was staged again
/// replace those written before.
pub(crate) async fn write(tables: &Tables, area: &StagingArea, table: &str) -> Result<()> {
    let record = area.get()?;
    let name = name_of(table);
    let application = format!("perennial-load-{}", area.load());
    let work = area.work_folder()?;
    let file = work.path().join("quarantine.parquet");
    let mut added: Option<(Add, SchemaRef)> = None;
    for _ in 0..ATTEMPTS_MAX {
        let newest = tables.newest(&name).await?;
        let before = match &newest {
            Some(opened) => existing_rows(opened, area.load(), &application).await?,
            None => Existing::Nothing,
        };
        if record.quarantined.is_some() && added.is_none() {
            let schema = convert(area, &file).await?;
            added = Some((put_file(tables, &name, &area.load().to_string(), &file).await?, schema));
        }
        let removed = match (before, &added) {
            (Existing::Nothing, None) | (Existing::Merged, _) => return Ok(()),
            (Existing::Nothing, Some(_)) => Vec::new(),
            (Existing::Files(files), Some((add, _))) if files.iter().any(|file| file.path == add.path) => return Ok(()),
            (Existing::Files(files), _) => files,
        };
        match commit(tables, newest.as_deref(), &name, &application, added.clone(), removed).await {
            Ok(()) => return Ok(()),
            Err(cause) if is_conflict(&cause) => {}
            Err(cause) => return Err(Error::delta(format!("writing the quarantine of table `{table}`"), cause)),
        }
    }
    Err(Error::State {
        message: format!("the quarantine of table `{table}` had {ATTEMPTS_MAX} conflicting commits in a row"),
        hint: "try again when no other process writes to it".into(),
    })
}

/// The rows of a load in a quarantine.
enum Existing {
    /// No rows.
    Nothing,
    /// Files with only rows of the load, named by it.
    Files(Vec<Remove>),
    /// Rows that were merged into files with rows of other loads.
    Merged,
}

async fn existing_rows(opened: &OpenTable, load: LoadId, application: &str) -> Result<Existing> {
    let state = opened.state()?;
    let written = state.transaction_version(opened.log.as_ref(), application).await;
    if written.map_err(|cause| opened.failed("reading", cause))?.is_none() {
        return Ok(Existing::Nothing);
    }
    let stem = format!("part-{load}-");
    let files = state.log_data();
    let own = files.iter().filter(|file| file.path().starts_with(&stem));
    let own: Vec<Remove> = own.map(|file| file.remove_action(true)).collect();
    Ok(if own.is_empty() { Existing::Merged } else { Existing::Files(own) })
}

/// The quarantined rows of `loads`, newest first.
pub(crate) async fn read(sql: &Sql, table: &str, loads: &[LoadId], limit: usize) -> Result<Page> {
    let name = name_of(table);
    let Some(opened) = sql.tables().newest(&name).await? else {
        return Ok(Page { schema: perennial_core::schema::Schema::default(), rows: Vec::new(), truncated: false });
    };
    let failed = |cause| Error::engine(&format!("reading the quarantine of table `{table}`"), cause);
    let loads = loads.iter().map(|load| lit(load.to_string())).collect();
    let frame = sql.deterministic_session().read_table(sql.tables().files(&opened)?).map_err(failed)?;
    let frame = frame.filter(ident(LOAD).in_list(loads, false)).map_err(failed)?;
    // Load ids are ordered by time.
    let frame = frame.sort(vec![ident(LOAD).sort(false, true)]).map_err(failed)?;
    sql.page_of(frame, limit).await
}

/// Writes the quarantined rows as text to `file`; returns the columns.
async fn convert(area: &StagingArea, file: &Path) -> Result<SchemaRef> {
    let reader = crate::parquet::read(&area.quarantined())?;
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let given = reader.schema();
    let names: Vec<&str> = given
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| ![ADMITTED, REASON, LOAD].contains(name))
        .collect();
    let fields: Vec<Field> = [LOAD, REASON].into_iter().chain(names.iter().copied()).map(text).collect();
    let schema: SchemaRef = Arc::new(ArrowSchema::new(fields));
    let mut sink = FileSink::create(file, &schema)?;
    let load = area.load().to_string();
    for batch in reader {
        let batch = batch.map_err(|cause| Error::storage("reading quarantined rows", cause))?;
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&load, rows)))];
        for name in [REASON].into_iter().chain(names.iter().copied()) {
            columns.push(as_text(&batch, name)?);
        }
        sink.write(assemble(&schema, columns, rows)?).await?;
    }
    sink.finish().await?;
    Ok(schema)
}

/// A column as text: scalars as in JSON without quotes, nested values as JSON.
fn as_text(batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let Some(column) = batch.column_by_name(name) else {
        return Ok(arrow::array::new_null_array(&DataType::Utf8, batch.num_rows()));
    };
    if column.data_type() == &DataType::Utf8 {
        return Ok(Arc::clone(column));
    }
    let texts = (0..column.len())
        .map(|row| {
            Ok(match cell_json(column.as_ref(), row)? {
                Json::Null => None,
                Json::String(text) => Some(text),
                other => Some(other.to_string()),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StringArray::from(texts)))
}

async fn commit(
    tables: &Tables,
    newest: Option<&OpenTable>,
    name: &str,
    application: &str,
    added: Option<(Add, SchemaRef)>,
    removed: Vec<Remove>,
) -> DeltaResult<()> {
    let properties = CommitProperties::default()
        .with_application_transaction(Transaction::new(application, 1))
        .with_metadata(HashMap::new())
        .with_max_retries(0)
        .with_cleanup_expired_logs(Some(false));
    let (add, schema) = added.unzip();
    let add = add.map(Action::Add);
    let Some(opened) = newest else {
        let schema = schema.unwrap_or_else(|| Arc::new(ArrowSchema::empty()));
        let columns: StructType = schema.as_ref().try_into_kernel()?;
        let log = tables.log(name).map_err(|cause| deltalake::DeltaTableError::Generic(cause.to_string()))?;
        return CreateBuilder::new()
            .with_log_store(log)
            .with_columns(columns.fields().cloned())
            .with_actions(add)
            .with_configuration_property(deltalake::TableProperty::EnableExpiredLogCleanup, Some("false"))
            .with_commit_properties(properties)
            .with_save_mode(SaveMode::ErrorIfExists)
            .await
            .map(|_| ());
    };
    let state = opened.table.snapshot()?;
    let mut actions: Vec<Action> = add.into_iter().chain(removed.into_iter().map(Action::Remove)).collect();
    let mut fields: Vec<_> = state.snapshot().arrow_schema().fields().iter().cloned().collect();
    let before = fields.len();
    for field in schema.iter().flat_map(|schema| schema.fields()) {
        if !fields.iter().any(|known| known.name() == field.name()) {
            fields.push(Arc::clone(field));
        }
    }
    if fields.len() > before {
        let columns: StructType = (&ArrowSchema::new(fields)).try_into_kernel()?;
        actions.insert(0, Action::Metadata(state.metadata().clone().with_schema(&columns)?));
    }
    let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
    CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(state), Arc::clone(&opened.log), operation)
        .await
        .map(|_| ())
}
