//! Rewrites the files of a table without the deleted rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::prelude::{DataFrame, col, ident};
use deltalake::kernel::Remove;
use futures::TryStreamExt;

use super::scan::{FILE, Files};
use super::{Deletes, OpenTable};
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::parquet::FileSink;
use crate::sql::Sql;
use crate::staging_area::{StagedLoad, StagingArea};
use crate::types::{ADMITTED, canonical_columns};

/// The result of rewriting the files with deleted rows.
pub(super) struct Rewritten {
    /// New local files with the remaining rows.
    pub(super) kept: Vec<PathBuf>,
    /// The files that they replace.
    pub(super) removed: Vec<Remove>,
}

/// Rewrites each file of `opened` with deleted rows, in columns of `schema`.
pub(super) async fn without(
    sql: &Sql,
    opened: &Arc<OpenTable>,
    deletes: &Deletes,
    folder: &Path,
    schema: &ArrowSchema,
) -> Result<Rewritten> {
    let affected = files_with(sql, opened, deletes).await?;
    let schema: SchemaRef = Arc::new(schema.clone());
    let mut rewritten = Rewritten { kept: Vec::new(), removed: Vec::new() };
    for (index, name) in affected.iter().enumerate() {
        let path = folder.join(format!("kept-{index}.parquet"));
        let mut sink = FileSink::create(&path, &schema)?;
        let file = Arc::new(Files::only(sql.tables().root(), opened, name)?);
        let frame = sql.deterministic_session().read_table(file);
        let mut batches = stream(frame.map_err(|cause| Error::engine("reading a table", cause))?).await?;
        while let Some(batch) = next(&mut batches, &schema).await? {
            let remaining = not(&deletes.mask(&batch)?).and_then(|keeps| filter_record_batch(&batch, &keeps));
            sink.write(remaining.map_err(|cause| Error::internal("filtering rows", cause))?).await?;
        }
        if sink.finish().await?.rows > 0 {
            rewritten.kept.push(path);
        }
    }
    for file in opened.state()?.log_data().iter() {
        if affected.iter().any(|name| *name == file.path()) {
            rewritten.removed.push(file.remove_action(true));
        }
    }
    if rewritten.removed.len() != affected.len() {
        return Err(Error::internal("rewriting a table's files", "a file that was read is not in the log"));
    }
    Ok(rewritten)
}

/// Writes the quarantined rows that are admitted by force to a file with the table's columns; `None` without any.
pub(super) async fn admitted(area: &StagingArea, record: &StagedLoad, folder: &Path) -> Result<Option<PathBuf>> {
    if record.quarantined.is_none() {
        return Ok(None);
    }
    let rows = crate::parquet::read(&area.rows())?.schema();
    let path = folder.join("joins.parquet");
    let mut sink = FileSink::create(&path, &rows)?;
    let origin = Origin::rows(&Arc::from("the staging area"), 1);
    for batch in crate::parquet::read(&area.quarantined())? {
        let batch = batch.map_err(|cause| Error::storage("reading quarantined rows", cause))?;
        let admitted = batch.column_by_name(ADMITTED).map(|column| column.as_boolean().clone());
        let Some(admitted) = admitted else { continue };
        let chosen =
            filter_record_batch(&batch, &admitted).map_err(|cause| Error::internal("filtering rows", cause))?;
        sink.write(fit(&chosen, &rows, &origin)?).await?;
    }
    Ok((sink.finish().await?.rows > 0).then_some(path))
}

/// The files with deleted rows, by their names in the log, ordered.
async fn files_with(sql: &Sql, opened: &OpenTable, deletes: &Deletes) -> Result<Vec<String>> {
    let provider = Arc::new(Files::with_name(sql.tables().root(), opened)?);
    let columns: Vec<_> = deletes.columns().iter().map(|name| ident(name.as_str())).chain([col(FILE)]).collect();
    let frame = sql.session().read_table(provider);
    let frame = frame.and_then(|frame| match deletes.filter() {
        Some(filter) => frame.filter(filter),
        None => Ok(frame),
    });
    let frame = frame.and_then(|frame| frame.select(columns));
    let frame = frame.map_err(|cause| Error::engine("reading a table", cause))?;
    let schema = frame.schema().as_arrow().clone();
    let target = canonical_columns(&schema);
    let mut batches = stream(frame).await?;
    let mut files = BTreeSet::new();
    while let Some(batch) = next(&mut batches, &target).await? {
        let mask = deletes.mask(&batch)?;
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
