//! Datatypes, and tensors as columns.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use perennial_core::frame::{Column, TextColumn, is_exact};
use perennial_core::{Error, ErrorCode, Result};

use super::data::{Data, Scalar};

/// A datatype of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    Bool,
    /// Signed, of so many bytes.
    Int(usize),
    /// Unsigned, of so many bytes.
    Uint(usize),
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// The datatype of a name.
    pub(super) fn parse(tensor: &str, name: &str) -> Result<Self> {
        Ok(match name {
            "BOOL" => Self::Bool,
            "INT8" => Self::Int(1),
            "INT16" => Self::Int(2),
            "INT32" => Self::Int(4),
            "INT64" => Self::Int(8),
            "UINT8" => Self::Uint(1),
            "UINT16" => Self::Uint(2),
            "UINT32" => Self::Uint(4),
            "UINT64" => Self::Uint(8),
            "FP16" => Self::Fp16,
            "BF16" => Self::Bf16,
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            "BYTES" => Self::Bytes,
            other => {
                let message = format!("input `{}` has the unknown datatype `{}`", shown(tensor), shown(other));
                return Err(Error::new(ErrorCode::InvalidArgument, message)
                    .with_hint("known are BOOL, INT8 to INT64, UINT8 to UINT64, FP16, BF16, FP32, FP64 and BYTES"));
            }
        })
    }

    /// Bytes of an element; `None` where they vary.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::Bool => Some(1),
            Self::Int(width) | Self::Uint(width) => Some(width),
            Self::Fp16 | Self::Bf16 => Some(2),
            Self::Fp32 => Some(4),
            Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

/// A name in a message, cut.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// Dimensions of a shape that are kept; a tensor with more is not a column.
const DIMENSIONS_MAX: usize = 8;

/// A tensor's shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    dimensions: [i64; DIMENSIONS_MAX],
    count: usize,
}

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> serde::de::Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of whole numbers")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut shape = Shape::default();
                while let Some(dimension) = seq.next_element::<i64>()? {
                    if let Some(place) = shape.dimensions.get_mut(shape.count) {
                        *place = dimension;
                    }
                    shape.count += 1;
                }
                Ok(shape)
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

impl Shape {
    /// The dimensions, in words.
    fn words(&self) -> String {
        let known: Vec<String> = self.dimensions.iter().take(self.count).map(ToString::to_string).collect();
        let more = if self.count > DIMENSIONS_MAX { ", …" } else { "" };
        format!("[{}{more}]", known.join(", "))
    }

    /// The rows of a column tensor: `[n]` or `[n, 1]`.
    pub(super) fn rows(&self, tensor: &str) -> Result<usize> {
        if let Some(negative) = self.dimensions.iter().take(self.count).find(|dimension| **dimension < 0) {
            return Err(refused(format!(
                "the shape of input `{}` has the negative dimension {negative}",
                shown(tensor)
            )));
        }
        match (self.count, self.dimensions) {
            (1, [rows, ..]) | (2, [rows, 1, ..]) => Ok(rows as usize),
            _ => Err(refused(format!(
                "input `{}` has the shape {}, expected [n] or [n, 1]: one tensor a column",
                shown(tensor),
                self.words()
            ))),
        }
    }
}

/// A JSON tensor as a column. Each element that does not fit its datatype is named with its place.
pub(super) fn column(tensor: &str, datatype: Datatype, data: &Data) -> Result<Column> {
    let misfit = |place: usize, value: &Scalar<'_>, wanted: &str| {
        refused(format!("element {place} of input `{}` is {}, expected {wanted}", shown(tensor), value.words()))
    };
    let numbers = |wanted: &str, read: &dyn Fn(&Scalar<'_>) -> Option<f64>| -> Result<Column> {
        let mut numbers = Vec::with_capacity(data.len());
        for (place, value) in data.iter().enumerate() {
            numbers.push(read(&value).ok_or_else(|| misfit(place, &value, wanted))?);
        }
        Ok(Column::Number(numbers))
    };
    let whole = |range: RangeInclusive<i128>, wanted: &str| -> Result<Column> {
        let read = data.iter().enumerate().map(|(place, value)| {
            value.as_integer().filter(|value| range.contains(value)).ok_or_else(|| misfit(place, &value, wanted))
        });
        Ok(integers(&read.collect::<Result<Vec<_>>>()?))
    };
    match datatype {
        // A key that is declared as a float keeps its digits, too.
        Datatype::Fp64 if data.iter().filter_map(|value| value.as_integer()).any(|value| !is_exact(value)) => {
            let texts = data.iter().enumerate().map(|(place, value)| match value.as_integer() {
                Some(integer) => Ok(Some(Cow::Owned(integer.to_string()))),
                None => match float(&value) {
                    Some(number) if number.is_nan() => Ok(None),
                    Some(number) => Ok(Some(Cow::Owned(number.to_string()))),
                    None => Err(misfit(place, &value, "a number, null, NaN or Infinity (FP64)")),
                },
            });
            Ok(Column::Text(encode(texts.collect::<Result<Vec<_>>>()?)))
        }
        Datatype::Fp64 => numbers("a number, null, NaN or Infinity (FP64)", &|value| float(value)),
        Datatype::Fp32 => numbers("a number, null, NaN or Infinity (FP32)", &|value| {
            float(value).map(|value| f64::from(value as f32))
        }),
        Datatype::Fp16 | Datatype::Bf16 => Err(refused(format!("input `{}` is a 16-bit float as JSON", shown(tensor)))
            .with_hint("send it as FP32, or as binary data")),
        Datatype::Bool => numbers("true or false (BOOL)", &|value| match value {
            Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
            Scalar::Int(value @ (0 | 1)) => Some(*value as f64),
            _ => None,
        }),
        Datatype::Int(width) => {
            let bound = i128::from(i64::MAX >> (64 - 8 * width));
            whole(-bound - 1..=bound, &format!("a whole number of {} bits", 8 * width))
        }
        Datatype::Uint(width) => {
            let bound = i128::from(u64::MAX >> (64 - 8 * width));
            whole(0..=bound, &format!("a whole number from 0 of {} bits", 8 * width))
        }
        Datatype::Bytes => {
            let texts = data.iter().enumerate().map(|(place, value)| match value {
                Scalar::Null => Ok(None),
                Scalar::Text(text) => Ok(Some(text)),
                other => Err(misfit(place, &other, "a text or null (BYTES)")),
            });
            Ok(Column::Text(encode(texts.collect::<Result<Vec<_>>>()?)))
        }
    }
}

/// A number of a floating-point tensor; null is missing.
fn float(value: &Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::Null => Some(f64::NAN),
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Uint(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        Scalar::Text(text) => match text.as_ref() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Scalar::Bool(_) => None,
    }
}

/// Texts as a column; a single one without an index over distinct values.
pub(super) fn encode(texts: Vec<Option<Cow<'_, str>>>) -> TextColumn {
    match texts.as_slice() {
        [Some(text)] => TextColumn { codes: vec![0], values: vec![Arc::from(text.as_ref())] },
        texts => TextColumn::encode(texts.iter().map(Option::as_deref)),
    }
}

/// Integers as a column: numbers, or their digits when a double does not hold all of them. Digits are a key; as a value
/// of a feature, which models compute in floating point, they are refused with the signature.
pub(super) fn integers(values: &[i128]) -> Column {
    if values.iter().copied().all(is_exact) {
        return Column::Number(values.iter().map(|value| *value as f64).collect());
    }
    Column::Text(encode(values.iter().map(|value| Some(Cow::Owned(value.to_string()))).collect()))
}
