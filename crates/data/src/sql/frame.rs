//! Reads a query's result into memory, for trainers and metrics.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::dataframe::DataFrame;
use futures::TryStreamExt;
use perennial_core::frame::{Column, Frame, MISSING, TextColumn, is_exact};

use super::{as_sql, sql_error};
use crate::convert::fit;
use crate::digest::Cells;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::canonical_result;

/// Reads all rows of `frame`, in order; an error when they need more than `bytes_max` bytes. Integers and
/// decimals in the columns `keys` become text if a double does not hold all of them.
pub(crate) async fn read_frame(frame: DataFrame, bytes_max: usize, keys: &[String]) -> Result<Frame> {
    let target = canonical_result(frame.schema().as_arrow())?;
    let origin = Origin::rows(&Arc::from("the query"), 1);
    let mut builders = target
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => Ok(Builder::Text(TextBuilder::default())),
            DataType::Binary | DataType::List(_) | DataType::Struct(_) => Err(Error::sql(format!(
                "column `{}` is {}, expected numbers, text, booleans or times",
                field.name(),
                field.data_type()
            ))),
            DataType::Int64 | DataType::Decimal128(..) if keys.contains(field.name()) => Ok(Builder::Key(Vec::new())),
            _ => Ok(Builder::Number(Vec::new())),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut batches = frame.execute_stream().await.map_err(|cause| sql_error(&cause))?;
    while let Some(batch) = batches.try_next().await.map_err(|cause| sql_error(&cause))? {
        let batch = fit(&batch, &target, &origin).map_err(as_sql)?;
        append(&mut builders, &batch)?;
        if builders.iter().map(Builder::bytes).sum::<usize>() > bytes_max {
            return Err(Error::Limit(format!("the rows of the query need more than {bytes_max} bytes of memory")));
        }
    }
    let mut frame = Frame::new();
    for (field, builder) in target.fields().iter().zip(builders) {
        frame.push(field.name(), builder.finish());
    }
    Ok(frame)
}

enum Builder {
    Number(Vec<f64>),
    /// Integers or decimals of a key, as long as a double holds all of them.
    Key(Vec<f64>),
    Text(TextBuilder),
}

#[derive(Default)]
struct TextBuilder {
    column: TextColumn,
    index: HashMap<Arc<str>, u32>,
    /// The bytes of the distinct texts.
    text_bytes: usize,
}

/// The bytes of a distinct text beside its characters: its entries in the list and the index, with the counters of the
/// shared text.
const ENTRY_BYTES: usize = 64;

impl Builder {
    /// The bytes of the column so far.
    fn bytes(&self) -> usize {
        match self {
            Self::Number(values) | Self::Key(values) => values.capacity() * size_of::<f64>(),
            Self::Text(text) => {
                let codes = text.column.codes.capacity() * size_of::<u32>();
                codes + text.column.values.len() * ENTRY_BYTES + text.text_bytes
            }
        }
    }

    fn finish(self) -> Column {
        match self {
            Self::Number(values) | Self::Key(values) => Column::Number(values),
            Self::Text(builder) => Column::Text(builder.column),
        }
    }
}

impl TextBuilder {
    fn append(&mut self, array: &StringArray) {
        array.iter().for_each(|value| self.push(value));
    }

    fn push(&mut self, value: Option<&str>) {
        let code = value.map_or(MISSING, |text| self.code(text));
        self.column.codes.push(code);
    }

    /// The numbers of a column as their digits.
    fn push_numbers<T: ToString>(&mut self, values: impl IntoIterator<Item = Option<T>>) {
        values.into_iter().for_each(|value| self.push(value.map(|value| value.to_string()).as_deref()));
    }

    /// A column with the numbers that were appended before as text.
    fn of_numbers(values: &[f64]) -> Self {
        let mut text = Self::default();
        text.push_numbers(values.iter().map(|value| (!value.is_nan()).then_some(*value)));
        text
    }

    fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.index.get(text) {
            return *code;
        }
        let code = self.column.values.len() as u32;
        self.text_bytes += text.len();
        let text: Arc<str> = Arc::from(text);
        self.column.values.push(Arc::clone(&text));
        self.index.insert(text, code);
        code
    }
}

fn append(builders: &mut [Builder], batch: &RecordBatch) -> Result<()> {
    for (builder, column) in builders.iter_mut().zip(batch.columns()) {
        match (&mut *builder, Cells::of(column.as_ref())?) {
            (Builder::Text(builder), Cells::Text(array)) => builder.append(array),
            (Builder::Text(builder), Cells::Int(array)) => builder.push_numbers(array),
            (Builder::Text(builder), Cells::Decimal(array)) => builder.push_numbers(decimal_texts(array)),
            (Builder::Key(values), Cells::Int(array))
                if !array.iter().flatten().all(|value| is_exact(value.into())) =>
            {
                let mut text = TextBuilder::of_numbers(values);
                text.push_numbers(array);
                *builder = Builder::Text(text);
            }
            (Builder::Key(values), Cells::Decimal(array)) if !array.iter().flatten().all(is_exact_decimal) => {
                let mut text = TextBuilder::of_numbers(values);
                text.push_numbers(decimal_texts(array));
                *builder = Builder::Text(text);
            }
            (Builder::Number(values) | Builder::Key(values), cells) => numbers(values, &cells, column.len()),
            (Builder::Text(_), _) => {}
        }
    }
    Ok(())
}

/// Whether a double holds a decimal of these digits, so that its shortest text has the same digits: at most 15 of them.
fn is_exact_decimal(digits: i128) -> bool {
    digits.unsigned_abs() < 1_000_000_000_000_000
}

/// Decimals as text, without zeros at the end of a fraction.
fn decimal_texts(array: &Decimal128Array) -> impl Iterator<Item = Option<String>> {
    (0..array.len()).map(|row| {
        let text = array.is_valid(row).then(|| array.value_as_string(row))?;
        let has_fraction = text.contains('.');
        Some(if has_fraction { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text })
    })
}

/// Appends numbers unchanged, booleans as 0 and 1, times as epoch seconds, nulls as NaN.
fn numbers(out: &mut Vec<f64>, cells: &Cells<'_>, rows: usize) {
    const DAY_S: f64 = 86_400.0;
    match cells {
        Cells::Float(array) => out.extend(array.iter().map(|value| value.unwrap_or(f64::NAN))),
        Cells::Int(array) => out.extend(array.iter().map(|value| value.map_or(f64::NAN, |value| value as f64))),
        Cells::Bool(array) => {
            out.extend(array.iter().map(|value| value.map_or(f64::NAN, |value| f64::from(u8::from(value)))));
        }
        Cells::Date(array) => {
            out.extend(array.iter().map(|value| value.map_or(f64::NAN, |days| f64::from(days) * DAY_S)));
        }
        Cells::Timestamp(array) => out.extend(array.iter().map(|value| value.map_or(f64::NAN, |us| us as f64 / 1e6))),
        Cells::Decimal(array) => {
            let unit = 10_f64.powi(i32::from(array.scale()));
            out.extend(array.iter().map(|value| value.map_or(f64::NAN, |value| value as f64 / unit)));
        }
        Cells::Text(_) | Cells::Bytes(_) | Cells::List(_) | Cells::Struct(_) => {
            out.extend(std::iter::repeat_n(f64::NAN, rows));
        }
    }
}
