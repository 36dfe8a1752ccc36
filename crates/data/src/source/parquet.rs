//! Parquet files.

mod decompressed;
mod limits;
mod thrift;
mod wide;

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::downcast_dictionary_array;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use perennial_core::text::one_line;

use super::local_arrays::with_instants;
use super::zone::LocalTimes;
use super::{BATCH_BYTES, BATCH_CELLS, BATCH_ROWS, BatchSink, LocalFile, NUMBER_AS_TEXT, SourceBatch};
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::{canonical_schema, with_warning};
use decompressed::check_decompressed;
use limits::{Excess, check_footer, check_pages};
use wide::WideIntegers;

/// The columns of the files, in order of first appearance. Integers in one file and floats in another are floats; unsigned
/// integers beyond 64 bits with a sign are text, as they are where the dataset has text; any other difference is an error.
pub(crate) fn infer_schema(files: &[LocalFile], known: Option<&SchemaRef>) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let schemas = files.iter().map(|file| Ok(Arc::clone(open(file)?.1.schema()))).collect::<Result<Vec<_>>>()?;
    let wide = WideIntegers::find(files, &schemas)?;
    for (file, arrow) in files.iter().zip(&schemas) {
        let schema = canonical_schema(&file.label, arrow)?;
        for (field, original) in schema.fields().iter().zip(arrow.fields()) {
            let field = &typed(field, original, &wide, known);
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => fields.push(Arc::clone(field)),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => {
                    let (old, new) = (known.data_type().clone(), field.data_type().clone());
                    if old.is_numeric() && new.is_numeric() && (old.is_floating() || new.is_floating()) {
                        *known = Arc::new(Field::new(field.name(), DataType::Float64, true));
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

/// The field of a column, in which unsigned integers are text where an integer or the dataset's column cannot hold them.
fn typed(field: &Arc<Field>, original: &Field, wide: &WideIntegers, known: Option<&SchemaRef>) -> Arc<Field> {
    let known = known.and_then(|schema| schema.field_with_name(field.name()).ok());
    let typed = field.as_ref().clone().with_data_type(wide.as_text(field, original, known));
    Arc::new(if wide.is_in(field.name()) { with_warning(typed, NUMBER_AS_TEXT) } else { typed })
}

/// Reads the rows of one file, in the file's types; times without a zone are instants.
pub(crate) fn read(file: &LocalFile, times: &LocalTimes, sink: &mut BatchSink<'_>) -> Result<()> {
    let builder = open_to_read(file)?;
    let rows = batch_rows(&builder);
    let reader = builder.with_batch_size(rows).build().map_err(|cause| invalid(file, cause))?;
    let mut row = 1;
    for batch in reader {
        let batch = batch.map_err(|cause| invalid(file, cause))?;
        for part in split(batch) {
            let origin = Origin::rows(&file.label, row);
            row += part.num_rows() as u64;
            let batch = with_instants(part, times, &origin)?;
            sink(SourceBatch { batch, origin })?;
        }
    }
    Ok(())
}

/// The rows of a batch, so that it has a limited number of values on average over each row group.
fn batch_rows(builder: &ParquetRecordBatchReaderBuilder<File>) -> usize {
    let rows = builder.metadata().row_groups().iter().map(|group| {
        let values: i64 = group.columns().iter().map(|column| column.num_values().max(0)).sum();
        let per_row = values / group.num_rows().max(1) + 1;
        BATCH_CELLS / usize::try_from(per_row).unwrap_or(usize::MAX).max(1)
    });
    rows.min().unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
}

/// The batch in parts whose text is short when it is written out: values that many rows share are in memory once so far.
fn split(batch: RecordBatch) -> Vec<RecordBatch> {
    let (mut parts, mut open) = (Vec::new(), vec![batch]);
    while let Some(batch) = open.pop() {
        let bytes: usize = batch.columns().iter().map(text_bytes).fold(0, usize::saturating_add);
        if bytes <= BATCH_BYTES || batch.num_rows() <= 1 {
            parts.push(batch);
        } else {
            let middle = batch.num_rows() / 2;
            open.push(batch.slice(middle, batch.num_rows() - middle));
            open.push(batch.slice(0, middle));
        }
    }
    parts
}

/// The bytes of an array's texts when each value is written out.
fn text_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|length| length as usize).sum(),
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()),
        DataType::Dictionary(..) => {
            let array = array.as_ref();
            downcast_dictionary_array!(array => dictionary_bytes(array), _ => 0)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            text_bytes(&list.values().slice(start, end - start))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(text_bytes).fold(0, usize::saturating_add),
        _ => 0,
    }
}

/// The length of the values between the first and the last offset.
fn span(offsets: &[i32]) -> usize {
    match offsets {
        [first, .., last] => usize::try_from(last - first).unwrap_or(0),
        _ => 0,
    }
}

fn dictionary_bytes<K: ArrowDictionaryKeyType>(dictionary: &DictionaryArray<K>) -> usize {
    let values = dictionary.values();
    let lengths: Vec<usize> = (0..values.len()).map(|at| text_bytes(&values.slice(at, 1))).collect();
    dictionary.keys_iter().flatten().map(|key| lengths.get(key).copied().unwrap_or(0)).fold(0, usize::saturating_add)
}

/// Opens a file and checks its footer and the headers of its pages.
fn open(file: &LocalFile) -> Result<(File, ArrowReaderMetadata)> {
    let failed = |cause| Error::storage(format!("reading {}", file.label), cause);
    let mut opened = file.open()?;
    check_footer(&mut opened).map_err(failed)?.map_err(|excess| too_large(file, &excess))?;
    let first = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new()).map_err(|cause| invalid(file, cause))?;
    check_pages(&mut opened, first.metadata()).map_err(failed)?.map_err(|excess| too_large(file, &excess))?;
    // A text that many rows have in common stays in memory once.
    let schema = ArrowSchema::new(first.schema().fields().iter().map(with_views).collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(first.metadata()), options);
    Ok((opened, metadata.map_err(|cause| invalid(file, cause))?))
}

/// As [`open`], for a reader that decompresses pages.
fn open_to_read(file: &LocalFile) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let (mut opened, metadata) = open(file)?;
    let failed = |cause| Error::storage(format!("reading {}", file.label), cause);
    let checked = check_decompressed(&mut opened, metadata.metadata()).map_err(failed)?;
    checked.map_err(|excess| too_large(file, &excess))?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(opened, metadata))
}

/// The field with texts as views of the pages that have them.
fn with_views(field: &Arc<Field>) -> Arc<Field> {
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::List(element) => DataType::List(with_views(element)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(with_views).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

fn too_large(file: &LocalFile, excess: &Excess) -> Error {
    match excess {
        Excess::Footer | Excess::Page(_) | Excess::Decompressed(_) => Error::SourceFile {
            message: format!("{} is not a complete Parquet file: {excess}", file.label),
            hint: Some(excess.hint().into()),
            source: None,
        },
        _ => Error::SourceFile {
            message: format!("{} is too large to be read: {excess}", file.label),
            hint: Some(excess.hint().into()),
            source: None,
        },
    }
}

fn invalid(file: &LocalFile, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::SourceFile {
        message: format!("{} is not a complete Parquet file: {}", file.label, one_line(&cause.to_string())),
        hint: Some("write the file again; it may have been read while it was written".into()),
        source: Some(cause.into()),
    }
}

#[cfg(test)]
mod tests;
