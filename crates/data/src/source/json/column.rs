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
use super::super::text::{self, is_whole};
use super::super::zone::ColumnZone;
use super::lines::for_each_element;
use crate::error::{Error, Result};

/// The values that a line may still have.
pub(super) struct ValueBudget {
    all: usize,
    left: Option<usize>,
}

impl ValueBudget {
    pub(super) fn new(values: usize) -> Self {
        Self { all: values, left: Some(values) }
    }

    /// Counts one value; `None` when the limit is reached.
    fn take(&mut self) -> Option<()> {
        self.left = self.left?.checked_sub(1);
        self.left.map(drop)
    }

    /// Whether a value exceeded the limit.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.is_none()
    }

    /// The number of values.
    pub(super) fn used(&self) -> usize {
        self.all - self.left.unwrap_or(0)
    }
}

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
    /// A builder for a canonical type, with the timezone of local times.
    pub(super) fn new(kind: &DataType, zone: &ColumnZone) -> Self {
        match kind {
            DataType::List(element) => Self::List {
                element: Arc::clone(element),
                values: Box::new(Self::new(element.data_type(), zone)),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            },
            DataType::Struct(fields) => Self::Struct {
                fields: fields.clone(),
                members: fields.iter().map(|field| Self::new(field.data_type(), zone)).collect(),
                nulls: NullBufferBuilder::new(0),
            },
            kind => ColumnBuilder::new(kind, zone).map_or_else(|| Self::Binary(BinaryBuilder::new()), Self::Scalar),
        }
    }

    /// Appends a value given as JSON text; `None` when it is not of the column's type, or has more values than `budget`.
    /// After `None` the column is invalid.
    pub(super) fn push(&mut self, value: &str, budget: &mut ValueBudget) -> Option<()> {
        if value.starts_with('n') {
            return self.push_null(budget);
        }
        budget.take()?;
        match (value.as_bytes().first()?, &mut *self) {
            (b'[', Self::List { values, lengths, nulls, .. }) => {
                let mut length = 0;
                for_each_element(value, |element| {
                    length += 1;
                    values.push(element, budget)
                })?;
                lengths.push(length);
                nulls.append_non_null();
            }
            (b'{', Self::Struct { fields, members, nulls }) => {
                let given: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(value).ok()?;
                for (member, field) in members.iter_mut().zip(fields.iter()) {
                    member.push(given.get(field.name().as_str()).map_or("null", |value| value.get()), budget)?;
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

    fn push_null(&mut self, budget: &mut ValueBudget) -> Option<()> {
        budget.take()?;
        match self {
            Self::Scalar(builder) => builder.push_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::List { lengths, nulls, .. } => {
                lengths.push(0);
                nulls.append_null();
            }
            Self::Struct { members, nulls, .. } => {
                members.iter_mut().try_for_each(|member| member.push_null(budget))?;
                nulls.append_null();
            }
        }
        Some(())
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

/// Parses a number. Its digits are kept: only a column of floats passes through a double.
fn push_number(builder: &mut ColumnBuilder, number: &str) -> Option<()> {
    match builder {
        ColumnBuilder::Float(builder) => {
            let value = if is_whole(number) { text::float(number)? } else { serde_json::from_str(number).ok()? };
            builder.append_value(value);
            Some(())
        }
        ColumnBuilder::Text(_) if number.contains(['e', 'E']) => {
            builder.push(&serde_json::from_str::<Number>(number).ok()?.to_string())
        }
        ColumnBuilder::Int(_) | ColumnBuilder::Decimal(..) | ColumnBuilder::Text(_) => {
            builder.push(&without_exponent(number)?)
        }
        ColumnBuilder::Bool(_) | ColumnBuilder::Date(_) | ColumnBuilder::Timestamp(..) => None,
    }
}

/// The digits of a number whose exponent is written out; `None` when they are too many for an integer or a decimal.
fn without_exponent(number: &str) -> Option<Cow<'_, str>> {
    /// More digits than a decimal has.
    const SHIFT_MAX: i32 = 80;
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else { return Some(Cow::Borrowed(number)) };
    let exponent: i32 = exponent.parse().ok()?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if exponent.abs() > SHIFT_MAX || mantissa.len() > SHIFT_MAX as usize {
        return mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.')).then_some(Cow::Borrowed("0"));
    }
    // Zeros on both sides make room for the point.
    let zeros = "0".repeat(exponent.unsigned_abs() as usize);
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = usize::try_from(zeros.len() as i32 + whole.len() as i32 + exponent).ok()?;
    let (whole, fraction) = digits.split_at_checked(point)?;
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(Cow::Owned(format!("{sign}{whole}{point}{fraction}")))
}

/// The text of a JSON string.
pub(super) fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    if value.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    value.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}
