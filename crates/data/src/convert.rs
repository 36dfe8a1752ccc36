//! Converts batches to the dataset's columns and types; an error names the value that cannot be converted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};
use crate::origin::Origin;

/// Converts `batch` to the columns of `target`, by name; missing columns are null.
pub(crate) fn fit(batch: &RecordBatch, target: &SchemaRef, origin: &Origin) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(target.fields().len());
    for field in target.fields() {
        let column = match batch.column_by_name(field.name()) {
            None => new_null_array(field.data_type(), batch.num_rows()),
            Some(column) => fit_column(column, field.name(), field.data_type(), origin)?,
        };
        columns.push(column);
    }
    assemble(target, columns, batch.num_rows())
}

/// Builds a batch of `rows` rows; it may have no columns.
pub(crate) fn assemble(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|cause| Error::internal("assembling a batch of rows", cause))
}

fn fit_column(column: &ArrayRef, name: &str, target: &DataType, origin: &Origin) -> Result<ArrayRef> {
    if column.data_type() == target {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    match cast_with_options(column, target, &strict) {
        Ok(cast) => match changed(column, &cast)? {
            None => Ok(cast),
            Some(row) => Err(unconvertible(column, row, name, target, origin)),
        },
        Err(cause) => Err(misfit(column, name, target, origin, &cause)),
    }
}

/// Finds the first value that cannot be converted, and names its position.
fn misfit(
    column: &ArrayRef,
    name: &str,
    target: &DataType,
    origin: &Origin,
    cause: &arrow::error::ArrowError,
) -> Error {
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    if let Ok(cast) = cast_with_options(column, target, &lenient) {
        let lost = (0..column.len()).find(|&row| column.is_valid(row) && cast.is_null(row));
        if let Some(row) = lost {
            return unconvertible(column, row, name, target, origin);
        }
    }
    let class = class_of(target);
    Error::source_file(format!(
        "{}: column `{name}` cannot be read as {class}: {}",
        origin.label(),
        perennial_core::text::one_line(&cause.to_string())
    ))
}

/// The first row whose value the cast changed: a decimal that was rounded, or an integer beyond the precision of a
/// float.
fn changed(column: &ArrayRef, cast: &ArrayRef) -> Result<Option<usize>> {
    let is_narrower = match (column.data_type(), cast.data_type()) {
        (
            DataType::Decimal32(_, from)
            | DataType::Decimal64(_, from)
            | DataType::Decimal128(_, from)
            | DataType::Decimal256(_, from),
            DataType::Decimal128(_, to),
        ) => to < from,
        (DataType::Int64 | DataType::UInt64, DataType::Float64) => true,
        _ => false,
    };
    if !is_narrower {
        return Ok(None);
    }
    let back = cast_with_options(cast, column.data_type(), &CastOptions { safe: true, ..CastOptions::default() });
    let back = back.map_err(|cause| Error::internal("comparing values", cause))?;
    let same = arrow::compute::kernels::cmp::not_distinct(column, &back)
        .map_err(|cause| Error::internal("comparing values", cause))?;
    Ok((0..same.len()).find(|&row| !same.value(row)))
}

fn unconvertible(column: &ArrayRef, row: usize, name: &str, target: &DataType, origin: &Origin) -> Error {
    let (value, class) = (text(column, row), class_of(target));
    Error::source_file(format!("{}: column `{name}` is `{value}`, expected {class}", origin.at(row)))
}

/// The name of a type for messages: its class, and the digits of a decimal.
fn class_of(target: &DataType) -> String {
    match target {
        DataType::Decimal128(precision, scale) => {
            format!("a decimal of at most {precision} digits, {scale} of them after the decimal point")
        }
        other => crate::types::class_of(other).map_or_else(|| other.to_string(), |class| class.to_string()),
    }
}

/// A value as short text for messages.
pub(crate) fn text(column: &dyn Array, row: usize) -> String {
    const LONGEST: usize = 80;
    let options = FormatOptions::default().with_null("null");
    let Ok(formatter) = ArrayFormatter::try_new(column, &options) else {
        return "?".into();
    };
    let text = formatter.value(row).to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}
