//! Converts values to JSON without losing digits: decimals and integers beyond 64 bits as strings, timestamps as RFC
//! 3339.

use arrow::array::Array;
use jiff::{Timestamp, ToSpan, civil};
use perennial_core::digest::Value;
use serde_json::{Map, Number, Value as Json};

use crate::digest::Cells;
use crate::error::Result;

/// The value at `row` of a canonical column; NaN and infinities are null, bytes hexadecimal.
pub(crate) fn cell_json(column: &dyn Array, row: usize) -> Result<Json> {
    Ok(value_json(Cells::of(column)?.value(row)))
}

fn value_json(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => i64::try_from(value).map_or_else(|_| Json::String(value.to_string()), Json::from),
        Value::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        Value::Decimal(text) => Json::String(text.into_owned()),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => hex::encode(bytes).into(),
        Value::Date(days) => date_text(days as i32).into(),
        Value::Time(us) => us.into(),
        Value::Timestamp(us) => timestamp_text(us).into(),
        Value::List(values) => Json::Array(values.into_iter().map(value_json).collect()),
        Value::Struct(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value_json(value)));
            Json::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// Days since 1970-01-01 as `YYYY-MM-DD`; days outside the calendar as a number.
pub(crate) fn date_text(days: i32) -> String {
    civil::date(1970, 1, 1).checked_add(days.days()).map_or_else(|_| days.to_string(), |date| date.to_string())
}

/// Microseconds since 1970-01-01 UTC as RFC 3339; instants outside the calendar as a number.
pub(crate) fn timestamp_text(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |instant| instant.to_string())
}

/// The approximate size of a value in bytes.
pub(super) fn size(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 8,
        Json::String(text) => text.len() + 2,
        Json::Array(values) => 2 + values.iter().map(size).sum::<usize>(),
        Json::Object(fields) => 2 + fields.iter().map(|(name, value)| name.len() + 3 + size(value)).sum::<usize>(),
    }
}
