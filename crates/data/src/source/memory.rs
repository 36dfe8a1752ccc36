//! Rows in memory, by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use perennial_core::frame::TextColumn;
use perennial_core::port::data::{ValueColumn, Values};

use super::{BATCH_ROWS, BatchSink, SourceBatch};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::{arrow_of, validate_names};

/// The approximate size of the text in a batch, in bytes: a repeated value is stored once here, but once per row in a
/// batch.
const BATCH_TEXT_BYTES: usize = 32 << 20;

/// Rows in memory.
pub(crate) struct Memory {
    columns: Arc<[ValueColumn]>,
    rows: usize,
    label: Arc<str>,
    /// The schema of the rows.
    pub(crate) schema: SchemaRef,
}

impl Memory {
    /// The rows of `columns`, which must have the same length.
    pub(crate) fn new(columns: Arc<[ValueColumn]>, label: &str) -> Result<Self> {
        validate_names(label, &columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())?;
        let rows = columns.first().map_or(0, |column| column.values.len());
        if let Some(other) = columns.iter().find(|column| column.values.len() != rows) {
            let (name, other) = (&other.name, other.values.len());
            return Err(Error::Argument(format!("{label}: column `{name}` has {other} rows, others have {rows}")));
        }
        let field = |column: &ValueColumn| Field::new(&column.name, arrow_of(&column.values.class()), true);
        let schema = Arc::new(ArrowSchema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Ok(Self { columns, rows, label: Arc::from(label), schema })
    }

    /// Reads all rows.
    pub(crate) fn read(&self, sink: &mut BatchSink<'_>) -> Result<()> {
        let mut from = 0;
        while from < self.rows {
            let to = self.end_of_batch(from);
            let arrays = self.columns.iter().map(|column| array(&column.values, from, to)).collect();
            let batch = assemble(&self.schema, arrays, to - from)?;
            sink(SourceBatch { batch, origin: Origin::rows(&self.label, from as u64 + 1) })?;
            from = to;
        }
        Ok(())
    }

    fn end_of_batch(&self, from: usize) -> usize {
        let last = self.rows.min(from + BATCH_ROWS);
        let mut bytes = 0;
        for row in from..last {
            bytes += self.columns.iter().map(|column| text_bytes(&column.values, row)).sum::<usize>();
            if bytes > BATCH_TEXT_BYTES {
                return row.max(from + 1);
            }
        }
        last
    }
}

fn text_bytes(values: &Values, row: usize) -> usize {
    match values {
        Values::Text(text) => text.get(row).map_or(0, str::len),
        Values::Int(_) | Values::Float(_) => 0,
    }
}

fn array(values: &Values, from: usize, to: usize) -> ArrayRef {
    match values {
        Values::Int(values) => Arc::new(Int64Array::from(values[from..to].to_vec())),
        Values::Float(values) => Arc::new(
            values[from..to].iter().map(|value| Some(*value).filter(|value| !value.is_nan())).collect::<Float64Array>(),
        ),
        Values::Text(text) => Arc::new(texts(text, from, to)),
    }
}

fn texts(text: &TextColumn, from: usize, to: usize) -> StringArray {
    (from..to).map(|row| text.get(row)).collect()
}
