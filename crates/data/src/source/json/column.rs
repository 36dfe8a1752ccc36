//! Columns built from the JSON text of their values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::columns::ColumnBuilder;
use crate::error::{Error, Result};

/// A column being built.
pub(super) enum JsonColumn {
    /// Values parsed from their text, as in CSV.
    Scalar(ColumnBuilder),
    /// Bytes, from strings of hexadecimal digits.
    Binary(BinaryBuilder),
    List {
        element: FieldRef,
        values: Box<JsonColumn>,
        /// The length of each list; zero where it is null.
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
    },
    /// Members without a field are ignored, missing ones are null.
    Struct { fields: Fields, members: Vec<JsonColumn>, nulls: NullBufferBuilder },
}

impl JsonColumn {
    /// A builder for a canonical type.
    pub(super) fn new(kind: &DataType) -> Self {
        match kind {
            DataType::List(element) => Self::List {
                element: Arc::clone(element),
                values: Box::new(Self::new(element.data_type())),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            },
            DataType::Struct(fields) => Self::Struct {
                fields: fields.clone(),
                members: fields.iter().map(|field| Self::new(field.data_type())).collect(),
                nulls: NullBufferBuilder::new(0),
            },
            kind => ColumnBuilder::new(kind).map_or_else(|| Self::Binary(BinaryBuilder::new()), Self::Scalar),
        }
    }

    /// Appends a value given as JSON text; `None` when it is not of the column's type. After `None` the column is invalid.
    pub(super) fn push(&mut self, value: &str) -> Option<()> {
        match (value.as_bytes().first()?, &mut *self) {
            (b'n', _) => self.push_null(),
            (b'[', Self::List { values, lengths, nulls, .. }) => {
                let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
                elements.iter().try_for_each(|element| values.push(element.get()))?;
                lengths.push(elements.len());
                nulls.append_non_null();
            }
            (b'{', Self::Struct { fields, members, nulls }) => {
                let given: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(value).ok()?;
                for (member, field) in members.iter_mut().zip(fields.iter()) {
                    member.push(given.get(field.name().as_str()).map_or("null", |value| value.get()))?;
                }
                nulls.append_non_null();
            }
            (_, Self::List { .. } | Self::Struct { .. }) => return None,
            (b'"', Self::Binary(builder)) => builder.append_value(bytes(&unquoted(value)?)?),
            (b'"', Self::Scalar(builder)) => builder.push(&unquoted(value)?)?,
            (b't' | b'f', Self::Scalar(builder @ (ColumnBuilder::Bool(_) | ColumnBuilder::Text(_)))) => {
                builder.push(value)?;
            }
            (b'-' | b'0'..=b'9', Self::Scalar(builder)) => push_number(builder, value)?,
            _ => return None,
        }
        Some(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Scalar(builder) => builder.push_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::List { lengths, nulls, .. } => {
                lengths.push(0);
                nulls.append_null();
            }
            Self::Struct { members, nulls, .. } => {
                members.iter_mut().for_each(Self::push_null);
                nulls.append_null();
            }
        }
    }

    /// Takes the column; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Scalar(builder) => builder.finish(),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::List { element, values, lengths, nulls } => {
                let offsets = OffsetBuffer::from_lengths(lengths.drain(..));
                let list = ListArray::try_new(Arc::clone(element), offsets, values.finish()?, nulls.finish());
                Arc::new(list.map_err(|cause| Error::internal("assembling nested values", cause))?)
            }
            Self::Struct { fields, members, nulls } => {
                let length = nulls.len();
                let arrays = members.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                let array = StructArray::try_new_with_length(fields.clone(), arrays, nulls.finish(), length);
                Arc::new(array.map_err(|cause| Error::internal("assembling nested values", cause))?)
            }
        })
    }
}

/// The bytes of a string of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(*high)? << 4 | digit(*low)?)
        }
        _ => None,
    });
    pairs.collect()
}

/// Parses a number. Its digits are kept: only a column of floats, or a number with an exponent, passes through a double.
fn push_number(builder: &mut ColumnBuilder, number: &str) -> Option<()> {
    match builder {
        ColumnBuilder::Float(builder) => {
            builder.append_value(serde_json::from_str(number).ok()?);
            Some(())
        }
        ColumnBuilder::Int(_) | ColumnBuilder::Decimal(..) | ColumnBuilder::Text(_) => {
            if number.contains(['e', 'E']) {
                return builder.push(&serde_json::from_str::<Number>(number).ok()?.to_string());
            }
            builder.push(number)
        }
        ColumnBuilder::Bool(_) | ColumnBuilder::Date(_) | ColumnBuilder::Timestamp(_) => None,
    }
}

/// The text of a JSON string.
pub(super) fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    if value.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    value.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}
