//! Builders of columns from text values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Decimal128Type};
use perennial_core::time_text::{parse_date, parse_time};

use super::text;
use super::zone::ColumnZone;

/// A column being built.
pub(crate) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder, ColumnZone),
}

impl ColumnBuilder {
    /// A builder for a canonical scalar type, with the timezone of local times; `None` for other types.
    pub(crate) fn new(kind: &DataType, zone: &ColumnZone) -> Option<Self> {
        Some(match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal(Decimal128Builder::new().with_data_type(kind.clone()), *precision, *scale)
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(_, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.clone()), zone.clone())
            }
            _ => return None,
        })
    }

    /// Parses and appends a value; `None` when it is not of this type.
    pub(crate) fn push(&mut self, value: &str) -> Option<()> {
        match self {
            Self::Bool(builder) => builder.append_value(text::bool(value)?),
            Self::Int(builder) => builder.append_value(text::int(value)?),
            Self::Float(builder) => builder.append_value(text::float(value)?),
            Self::Decimal(builder, precision, scale) => builder.append_value(decimal(value, *precision, *scale)?),
            Self::Text(builder) => builder.append_value(value),
            Self::Date(builder) => builder.append_value(parse_date(value)?),
            Self::Timestamp(builder, zone) => builder.append_value(zone.instant_us(parse_time(value)?)?),
        }
        Some(())
    }

    /// Appends null.
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Decimal(builder, ..) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder, _) => builder.append_null(),
        }
    }

    /// Takes the column; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, ..) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, _) => Arc::new(builder.finish()),
        }
    }
}

/// Parses an exact decimal; digits after the point beyond `scale` must be zeros.
fn decimal(value: &str, precision: u8, scale: i8) -> Option<i128> {
    let value = value.trim();
    let fraction = value.split_once('.').map_or("", |(_, fraction)| fraction);
    let kept = usize::try_from(scale).ok()?;
    if fraction.get(kept..).is_some_and(|rest| rest.bytes().any(|b| b != b'0')) {
        return None;
    }
    arrow::compute::kernels::cast_utils::parse_decimal::<Decimal128Type>(value, precision, scale).ok()
}
