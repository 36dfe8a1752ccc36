//! Statistics of a data file, which the Delta log stores so that readers can skip files.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::scalar::ScalarValue;
use serde_json::{Map, Number, Value as Json, json};

use crate::error::{Error, Result};
use crate::sql::{date_text, timestamp_text};

/// The number of leading columns with statistics.
const COLUMNS_MAX: usize = 128;

/// The statistics of the Parquet file at `path`, as JSON text.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let failed = |cause| Error::storage(format!("reading `{}`", path.display()), cause);
    let file = File::open(path).map_err(|cause| Error::storage(format!("opening `{}`", path.display()), cause))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let metadata = builder.metadata();
    let (mut mins, mut maxs, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in builder.schema().fields().iter().take(COLUMNS_MAX) {
        if field.data_type().is_nested() {
            continue;
        }
        let converter =
            StatisticsConverter::try_new(field.name(), builder.schema(), builder.parquet_schema()).map_err(failed)?;
        let groups = metadata.row_groups();
        let counts = converter.row_group_null_counts(groups).map_err(failed)?;
        if counts.null_count() == 0 {
            nulls.insert(field.name().clone(), json!(compute::sum(&counts).unwrap_or(0)));
        }
        let low = converter.row_group_mins(groups).map_err(failed)?;
        let high = converter.row_group_maxes(groups).map_err(failed)?;
        // A bound is valid only if every row group has one.
        if low.null_count() > 0 || high.null_count() > 0 {
            continue;
        }
        if let (Some(low), Some(high)) = (bound(&low, false), bound(&high, true)) {
            mins.insert(field.name().clone(), low);
            maxs.insert(field.name().clone(), high);
        }
    }
    let rows = metadata.file_metadata().num_rows();
    Ok(json!({ "numRecords": rows, "minValues": mins, "maxValues": maxs, "nullCount": nulls }).to_string())
}

/// The smallest and greatest value of a column over several Parquet files; `None` when unknown, or undefined: no rows,
/// floating-point numbers.
pub(crate) fn bounds(paths: &[&Path], column: &str) -> Result<Option<(ScalarValue, ScalarValue)>> {
    let mut found: Option<(ScalarValue, ScalarValue)> = None;
    for path in paths {
        let failed = |cause| Error::storage(format!("reading `{}`", path.display()), cause);
        let file = File::open(path).map_err(|cause| Error::storage(format!("opening `{}`", path.display()), cause))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
        let metadata = builder.metadata();
        if metadata.file_metadata().num_rows() == 0 {
            continue;
        }
        let converter =
            StatisticsConverter::try_new(column, builder.schema(), builder.parquet_schema()).map_err(failed)?;
        let low = converter.row_group_mins(metadata.row_groups()).map_err(failed)?;
        let high = converter.row_group_maxes(metadata.row_groups()).map_err(failed)?;
        let is_ordered =
            matches!(low.data_type(), DataType::Int64 | DataType::Utf8 | DataType::Date32 | DataType::Timestamp(_, _));
        if !is_ordered || low.null_count() > 0 || high.null_count() > 0 {
            return Ok(None);
        }
        for group in 0..low.len() {
            let value = |array: &ArrayRef| {
                ScalarValue::try_from_array(array, group)
                    .map_err(|cause| Error::engine("reading bounds of a column", cause))
            };
            let (low, high) = (value(&low)?, value(&high)?);
            found = Some(match found {
                None => (low, high),
                Some((least, greatest)) => {
                    (if low < least { low } else { least }, if high > greatest { high } else { greatest })
                }
            });
        }
    }
    Ok(found)
}

/// The smallest or greatest bound of all row groups, as JSON.
fn bound(values: &ArrayRef, greatest: bool) -> Option<Json> {
    match values.data_type() {
        DataType::Int64 => {
            let array = values.as_primitive::<Int64Type>();
            if greatest { compute::max(array) } else { compute::min(array) }.map(Json::from)
        }
        DataType::Float64 => {
            let array = values.as_primitive::<Float64Type>();
            let value = if greatest { compute::max(array) } else { compute::min(array) };
            value.and_then(Number::from_f64).map(Json::Number)
        }
        DataType::Utf8 => {
            let array = values.as_string::<i32>();
            if greatest { compute::max_string(array) } else { compute::min_string(array) }.map(Json::from)
        }
        DataType::Date32 => {
            let array = values.as_primitive::<Date32Type>();
            if greatest { compute::max(array) } else { compute::min(array) }.map(|days| date_text(days).into())
        }
        DataType::Timestamp(_, _) => {
            let array = values.as_primitive::<TimestampMicrosecondType>();
            let us = if greatest { compute::max(array) } else { compute::min(array) }?;
            // The log stores milliseconds, so the bound is rounded outwards.
            let ms = if greatest { us.checked_add(999)?.div_euclid(1000) } else { us.div_euclid(1000) };
            Some(timestamp_text(ms.checked_mul(1000)?).into())
        }
        _ => None,
    }
}
