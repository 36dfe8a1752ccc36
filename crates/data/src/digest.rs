//! Row hashes and values of batches.

use std::borrow::Cow;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Schema as ArrowSchema, TimestampMicrosecondType,
};
use perennial_core::digest::{ColumnHead, RowEncoder, RowHash, Value};

use crate::error::{Error, Result};
use crate::types::{LOAD, class_of};

/// Hashes the rows of batches of one canonical schema, without the column `_load`.
#[derive(Debug, Clone)]
pub(crate) struct RowDigester {
    /// Columns ordered by name, with their position in the batch.
    columns: Vec<(ColumnHead, usize)>,
}

impl RowDigester {
    /// A digester for batches of `schema`.
    pub(crate) fn new(schema: &ArrowSchema) -> Result<Self> {
        let mut columns = Vec::new();
        let mut heads = Vec::new();
        for (index, field) in schema.fields().iter().enumerate().filter(|(_, field)| field.name() != LOAD) {
            let class = class_of(field.data_type()).ok_or_else(|| unknown(field.data_type()))?;
            heads.push(ColumnHead::new(field.name(), &class));
            columns.push(index);
        }
        let order = ColumnHead::order(&heads);
        Ok(Self { columns: order.into_iter().map(|at| (heads[at].clone(), columns[at])).collect() })
    }

    /// The hashes of a batch's rows.
    pub(crate) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<RowHash>> {
        let columns = self
            .columns
            .iter()
            .map(|(head, index)| Ok((head, Cells::of(batch.column(*index).as_ref())?)))
            .collect::<Result<Vec<_>>>()?;
        let mut encoder = RowEncoder::new();
        let hash = |row| {
            for (head, cells) in &columns {
                cells.encode(row, head, &mut encoder);
            }
            encoder.finish()
        };
        Ok((0..batch.num_rows()).map(hash).collect())
    }
}

/// The values of one canonical column, by type.
pub(crate) enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    List(&'a ListArray),
    Struct(&'a StructArray),
}

impl<'a> Cells<'a> {
    /// The values of `array`, which is of a canonical type.
    pub(crate) fn of(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, _) => Self::Decimal(array.as_primitive::<Decimal128Type>()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(_, _) => Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>()),
            DataType::List(_) => Self::List(array.as_list()),
            DataType::Struct(_) => Self::Struct(array.as_struct()),
            other => return Err(unknown(other)),
        })
    }

    fn encode(&self, row: usize, head: &ColumnHead, encoder: &mut RowEncoder) {
        match self {
            Self::Bool(array) if array.is_valid(row) => encoder.bool(head, array.value(row)),
            Self::Int(array) if array.is_valid(row) => encoder.int(head, array.value(row).into()),
            Self::Float(array) if array.is_valid(row) => encoder.float(head, array.value(row)),
            Self::Text(array) if array.is_valid(row) => encoder.bytes(head, array.value(row).as_bytes()),
            Self::Bytes(array) if array.is_valid(row) => encoder.bytes(head, array.value(row)),
            Self::Date(array) if array.is_valid(row) => encoder.int(head, array.value(row).into()),
            Self::Timestamp(array) if array.is_valid(row) => encoder.int(head, array.value(row).into()),
            Self::Decimal(_) | Self::List(_) | Self::Struct(_) => encoder.value(head, &self.value(row)),
            _ => {}
        }
    }

    /// The value at `row`.
    pub(crate) fn value(&self, row: usize) -> Value<'a> {
        match self {
            Self::Bool(array) if array.is_valid(row) => Value::Bool(array.value(row)),
            Self::Int(array) if array.is_valid(row) => Value::Int(array.value(row).into()),
            Self::Float(array) if array.is_valid(row) => Value::Float(array.value(row)),
            Self::Decimal(array) if array.is_valid(row) => Value::Decimal(Cow::Owned(array.value_as_string(row))),
            Self::Text(array) if array.is_valid(row) => Value::Text(array.value(row)),
            Self::Bytes(array) if array.is_valid(row) => Value::Bytes(array.value(row)),
            Self::Date(array) if array.is_valid(row) => Value::Date(array.value(row).into()),
            Self::Timestamp(array) if array.is_valid(row) => Value::Timestamp(array.value(row)),
            Self::List(array) if array.is_valid(row) => {
                let start = array.value_offsets()[row] as usize;
                let end = array.value_offsets()[row + 1] as usize;
                match Cells::of(array.values().as_ref()) {
                    Ok(cells) => Value::List((start..end).map(|at| cells.value(at)).collect()),
                    Err(_) => Value::Null,
                }
            }
            Self::Struct(array) if array.is_valid(row) => {
                let fields = array.fields().iter().zip(array.columns());
                let value = |column: &'a arrow::array::ArrayRef| {
                    Cells::of(column.as_ref()).map_or(Value::Null, |cells| cells.value(row))
                };
                Value::Struct(fields.map(|(field, column)| (field.name().as_str(), value(column))).collect())
            }
            _ => Value::Null,
        }
    }
}

fn unknown(kind: &DataType) -> Error {
    Error::internal("reading a column", format!("tables cannot have type {kind}"))
}
