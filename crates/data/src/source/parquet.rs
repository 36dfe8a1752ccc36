//! Parquet files.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BATCH_ROWS, BatchSink, LocalFile, Origin, SourceBatch};
use crate::error::{Error, Result, one_line};
use crate::types::canonical_schema;

/// The columns of the files, in order of first appearance. Integers in one file and floats in another are floats; any
/// other difference is an error.
pub(crate) fn infer_schema(files: &[LocalFile]) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for file in files {
        let schema = canonical_schema(&file.label, open(file)?.schema())?;
        for field in schema.fields() {
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => fields.push(Arc::clone(field)),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => {
                    let (old, new) = (known.data_type().clone(), field.data_type().clone());
                    if old.is_numeric() && new.is_numeric() && (old.is_floating() || new.is_floating()) {
                        *known = Arc::new(Field::new(field.name(), arrow::datatypes::DataType::Float64, true));
                    } else {
                        return Err(Error::source_file(format!(
                            "{}: column `{}` is {new}, but {old} in earlier files of the load",
                            file.label,
                            field.name()
                        )));
                    }
                }
            }
        }
    }
    Ok(Arc::new(ArrowSchema::new(fields)))
}

/// Reads the rows of one file, in the file's types.
pub(crate) fn read(file: &LocalFile, sink: &mut BatchSink<'_>) -> Result<()> {
    let reader = open(file)?.with_batch_size(BATCH_ROWS).build().map_err(|cause| invalid(file, cause))?;
    let mut row = 1;
    for batch in reader {
        let batch = batch.map_err(|cause| invalid(file, cause))?;
        let origin = Origin::rows(&file.label, row);
        row += batch.num_rows() as u64;
        sink(SourceBatch { batch, origin })?;
    }
    Ok(())
}

fn open(file: &LocalFile) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>> {
    ParquetRecordBatchReaderBuilder::try_new(file.open()?).map_err(|cause| invalid(file, cause))
}

fn invalid(file: &LocalFile, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::SourceFile {
        message: format!("{} is not a complete Parquet file: {}", file.label, one_line(&cause.to_string())),
        hint: Some("write the file again; it may have been read while it was written".into()),
        source: Some(cause.into()),
    }
}
