//! Infers the types of text columns from all their values.

use arrow::datatypes::DataType;

use super::text;
use crate::types::timestamp;

/// The narrowest type of all values observed in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum InferredType {
    /// Only nulls so far.
    #[default]
    Unknown,
    Bool,
    Int,
    Float,
    Date,
    Timestamp,
    Text,
}

impl InferredType {
    /// The narrowest type of a text. Integers with leading zeros are text: `007` is a code.
    pub(crate) fn of(value: &str) -> Self {
        let digits = value.trim().trim_start_matches(['-', '+']);
        let is_code = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if is_code {
            Self::Text
        } else if value.trim().parse::<i64>().is_ok() {
            Self::Int
        } else if text::float(value).is_some() {
            // An integer beyond 64 bits would lose digits as a float.
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

    /// The narrowest type that includes both.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Text,
        }
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
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp(),
            Self::Text => DataType::Utf8,
        })
    }
}
