//! Types of columns written as text, inferred over all their values.

use arrow::datatypes::DataType;

use super::text;
use crate::types::timestamp;

/// What the values of a column seen so far can all be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Guess {
    /// Nothing but nulls so far.
    #[default]
    Nothing,
    Bool,
    Int,
    Float,
    Date,
    Timestamp,
    Text,
}

impl Guess {
    /// The narrowest class that a text reads as. Whole numbers with leading zeros are text: `007` is a code.
    pub(crate) fn of(value: &str) -> Self {
        let digits = value.trim().trim_start_matches(['-', '+']);
        let is_code = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if is_code {
            Self::Text
        } else if value.trim().parse::<i64>().is_ok() {
            Self::Int
        } else if text::float(value).is_some() {
            // A whole number too long for 64 bits would lose digits as a float.
            if digits.bytes().all(|b| b.is_ascii_digit()) { Self::Text } else { Self::Float }
        } else if text::bool(value).is_some() {
            Self::Bool
        } else if text::date(value).is_some() {
            Self::Date
        } else if text::timestamp(value).is_some() {
            Self::Timestamp
        } else {
            Self::Text
        }
    }

    /// What both can be read as.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, known) | (known, Self::Nothing) => known,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Text,
        }
    }

    /// Takes one more value into account; a column that is text stays so without looking.
    pub(crate) fn see(&mut self, value: &str) {
        if *self != Self::Text {
            *self = self.join(Self::of(value));
        }
    }

    /// The type of the column; `None` when all was null.
    pub(crate) fn kind(self) -> Option<DataType> {
        Some(match self {
            Self::Nothing => return None,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp(),
            Self::Text => DataType::Utf8,
        })
    }
}
