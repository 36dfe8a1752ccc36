//! Files of a table written anew without the rows that leave.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};
use datafusion::prelude::{DataFrame, col, ident};
use deltalake::kernel::Remove;
use futures::TryStreamExt;

use super::scan::{FILE, Files};
use super::{Leaving, Opened};
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::parquet::FileSink;
use crate::source::Origin;
use crate::sql::Sql;
use crate::stage::{Area, Record};
use crate::types::JOINS;

/// What became of the files with rows that leave.
pub(super) struct Rewritten {
    /// New local files with the rows that stay.
    pub(super) kept: Vec<PathBuf>,
    /// The files they take the place of.
    pub(super) removed: Vec<Remove>,
}

/// Writes each file of `opened` that holds leaving rows anew, in columns of `schema`.
pub(super) async fn without(
    sql: &Sql,
    opened: &Arc<Opened>,
    leaving: &Leaving,
    folder: &Path,
    schema: &ArrowSchema,
) -> Result<Rewritten> {
    let touched = files_with(sql, opened, leaving).await?;
    let schema: SchemaRef = Arc::new(schema.clone());
    let mut rewritten = Rewritten { kept: Vec::new(), removed: Vec::new() };
    for (index, name) in touched.iter().enumerate() {
        let path = folder.join(format!("kept-{index}.parquet"));
        let mut sink = FileSink::create(&path, &schema)?;
        let file = Arc::new(Files::only(sql.tables().root(), opened, name)?);
        let frame = sql.steady_session().read_table(file);
        let mut batches = stream(frame.map_err(|cause| Error::engine("reading a table", cause))?).await?;
        while let Some(batch) = next(&mut batches, &schema).await? {
            let stays = not(&leaving.mask(&batch)?).and_then(|stays| filter_record_batch(&batch, &stays));
            sink.write(stays.map_err(|cause| Error::internal("filtering rows", cause))?).await?;
        }
        if sink.finish().await?.rows > 0 {
            rewritten.kept.push(path);
        }
    }
    for file in opened.state()?.log_data().iter() {
        if touched.iter().any(|name| *name == file.path()) {
            rewritten.removed.push(file.remove_action(true));
        }
    }
    if rewritten.removed.len() != touched.len() {
        return Err(Error::internal("rewriting a table's files", "a file that was read is not in the log"));
    }
    Ok(rewritten)
}

/// The rows set aside that join when everything is committed, as a file of table columns.
pub(super) async fn joining(area: &Area, record: &Record, folder: &Path) -> Result<Option<PathBuf>> {
    if record.aside.is_none() {
        return Ok(None);
    }
    let rows = crate::parquet::read(&area.rows())?.schema();
    let path = folder.join("joins.parquet");
    let mut sink = FileSink::create(&path, &rows)?;
    let origin = Origin::rows(&Arc::from("the staging area"), 1);
    for batch in crate::parquet::read(&area.aside())? {
        let batch = batch.map_err(|cause| Error::storage("reading rows set aside", cause))?;
        let joins = batch.column_by_name(JOINS).map(|column| column.as_boolean().clone());
        let Some(joins) = joins else { continue };
        let chosen = filter_record_batch(&batch, &joins).map_err(|cause| Error::internal("filtering rows", cause))?;
        sink.write(fit(&chosen, &rows, &origin)?).await?;
    }
    Ok((sink.finish().await?.rows > 0).then_some(path))
}

/// The files that hold leaving rows, as the log names them, in order.
async fn files_with(sql: &Sql, opened: &Opened, leaving: &Leaving) -> Result<Vec<String>> {
    let provider = Arc::new(Files::named(sql.tables().root(), opened)?);
    let columns: Vec<_> = leaving.columns().iter().map(|name| ident(name.as_str())).chain([col(FILE)]).collect();
    let frame = sql.session().read_table(provider);
    let frame = frame.and_then(|frame| match leaving.filter() {
        Some(filter) => frame.filter(filter),
        None => Ok(frame),
    });
    let frame = frame.and_then(|frame| frame.select(columns));
    let frame = frame.map_err(|cause| Error::engine("reading a table", cause))?;
    let schema = frame.schema().as_arrow().clone();
    let target = target_of(&schema);
    let mut batches = stream(frame).await?;
    let mut files = BTreeSet::new();
    while let Some(batch) = next(&mut batches, &target).await? {
        let mask = leaving.mask(&batch)?;
        let Some(names) = batch.column_by_name(FILE) else { continue };
        let names = names.as_string::<i32>();
        for row in mask.values().set_indices() {
            if !files.contains(names.value(row)) {
                files.insert(names.value(row).to_owned());
            }
        }
    }
    Ok(files.into_iter().collect())
}

/// Canonical types for a scan's columns, ours included.
pub(crate) fn target_of(schema: &ArrowSchema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = crate::types::canonical(field.data_type()).unwrap_or(DataType::Utf8);
        arrow::datatypes::Field::new(field.name(), kind, true)
    });
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

pub(crate) type Batches = datafusion::execution::SendableRecordBatchStream;

pub(crate) async fn stream(frame: DataFrame) -> Result<Batches> {
    frame.execute_stream().await.map_err(|cause| Error::engine("reading a table", cause))
}

/// The next batch of a scan, in columns of `schema`.
pub(crate) async fn next(batches: &mut Batches, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
    let batch = batches.try_next().await.map_err(|cause| Error::engine("reading a table", cause))?;
    let origin = Origin::rows(&Arc::from("the table"), 1);
    batch.map(|batch| fit(&batch, schema, &origin)).transpose()
}
