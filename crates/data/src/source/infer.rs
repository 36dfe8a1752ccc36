//! Infers the types of text columns from all their values.

use arrow::datatypes::DataType;
use perennial_core::time_text::{parse_date, parse_time};

use super::text;
use crate::types::timestamp;

/// The narrowest type of all values observed in a column.
///
/// No integer becomes a float that differs from it: integers that a double does not hold are kept apart from the others,
/// and are text together with floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum InferredType {
    /// Only nulls so far.
    #[default]
    Unknown,
    Bool,
    /// Integers of 64 bits that a double holds.
    Int,
    /// Integers of 64 bits, some of which a double does not hold.
    LongInt,
    /// Integers that a double holds, some of which have more than 64 bits: text, unless other values are floats.
    WideInt,
    Float,
    /// Numbers that no single number type can hold.
    NumberText,
    Date,
    Timestamp,
    Text,
}

impl InferredType {
    /// The narrowest type of a text. Integers with leading zeros are text: `007` is a code.
    pub(crate) fn of(value: &str) -> Self {
        let value = value.trim();
        let digits = value.trim_start_matches(['-', '+']);
        let is_whole = text::is_whole(value);
        if is_whole && digits.len() > 1 && digits.starts_with('0') {
            Self::Text
        } else if is_whole {
            Self::of_integer(value)
        } else if text::float(value).is_some() {
            Self::Float
        } else if text::bool(value).is_some() {
            Self::Bool
        } else if parse_date(value).is_some() {
            Self::Date
        } else if parse_time(value).is_some() {
            Self::Timestamp
        } else {
            Self::Text
        }
    }

    /// The narrowest type of an integer, given as its digits.
    pub(crate) fn of_integer(digits: &str) -> Self {
        /// A double holds every integer up to this.
        const EXACT_MAX: u64 = 1 << 53;
        let is_exact = || text::float(digits).is_some();
        match digits.parse::<i64>() {
            Ok(value) if value.unsigned_abs() <= EXACT_MAX || is_exact() => Self::Int,
            Ok(_) => Self::LongInt,
            Err(_) if is_exact() => Self::WideInt,
            Err(_) => Self::NumberText,
        }
    }

    /// The narrowest type that includes both.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Int, number @ (Self::LongInt | Self::WideInt | Self::Float))
            | (number @ (Self::LongInt | Self::WideInt | Self::Float), Self::Int) => number,
            (Self::WideInt, Self::Float) | (Self::Float, Self::WideInt) => Self::Float,
            (a, b) if a.is_number() && b.is_number() => Self::NumberText,
            _ => Self::Text,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::LongInt | Self::WideInt | Self::Float | Self::NumberText)
    }

    /// Observes one more value; a text column stays text without parsing it.
    pub(crate) fn observe(&mut self, value: &str) {
        if *self != Self::Text {
            *self = self.join(Self::of(value));
        }
    }

    /// The type of the column; `None` when all values are null.
    pub(crate) fn kind(self) -> Option<DataType> {
        Some(match self {
            Self::Unknown => return None,
            Self::Bool => DataType::Boolean,
            Self::Int | Self::LongInt => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp(),
            Self::WideInt | Self::NumberText | Self::Text => DataType::Utf8,
        })
    }

    /// Whether the column is text only because no number type holds its numbers.
    pub(crate) fn is_number_as_text(self) -> bool {
        matches!(self, Self::WideInt | Self::NumberText)
    }
}
