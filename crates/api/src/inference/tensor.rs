//! Datatypes, and tensors as columns.

use std::borrow::Cow;
use std::sync::Arc;

use perennial_core::frame::{Column, TextColumn};
use perennial_core::{Error, ErrorCode, Result};

use super::data::{Data, Scalar};

/// Whole numbers up to this are exact in a column.
const EXACT_MAX: u64 = 1 << 53;

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
pub(super) fn column(tensor: &str, datatype: Datatype, data: Data<'_>) -> Result<Column> {
    let misfit = |place: usize, value: &Scalar<'_>, wanted: &str| {
        refused(format!("element {place} of input `{}` is {}, expected {wanted}", shown(tensor), value.words()))
    };
    let Data(values) = data;
    let numbers = |wanted: &str, read: &dyn Fn(&Scalar<'_>) -> Option<f64>| -> Result<Column> {
        let read =
            values.iter().enumerate().map(|(place, value)| read(value).ok_or_else(|| misfit(place, value, wanted)));
        Ok(Column::Number(read.collect::<Result<_>>()?))
    };
    match datatype {
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
            let bound = i64::MAX >> (64 - 8 * width);
            numbers(
                &format!("a whole number of {} bits that a double holds exactly", 8 * width),
                &|value| match value {
                    Scalar::Int(value) => (-bound - 1..=bound)
                        .contains(value)
                        .then_some(*value)
                        .filter(|value| value.unsigned_abs() <= EXACT_MAX)
                        .map(|value| value as f64),
                    _ => None,
                },
            )
        }
        Datatype::Uint(width) => {
            let bound = u64::MAX >> (64 - 8 * width);
            numbers(&format!("a whole number from 0 of {} bits that a double holds exactly", 8 * width), &|value| {
                match value {
                    Scalar::Int(value) => u64::try_from(*value)
                        .ok()
                        .filter(|value| *value <= bound.min(EXACT_MAX))
                        .map(|value| value as f64),
                    _ => None,
                }
            })
        }
        Datatype::Bytes => {
            let texts = values.iter().enumerate().map(|(place, value)| match value {
                Scalar::Null => Ok(None),
                Scalar::Text(text) => Ok(Some(Cow::Borrowed(text.as_ref()))),
                other => Err(misfit(place, other, "a text or null (BYTES)")),
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

/// Whether a whole number read from binary data is exact in a column.
pub(super) fn exact(tensor: &str, place: usize, magnitude: u64) -> Result<()> {
    if magnitude <= EXACT_MAX {
        return Ok(());
    }
    Err(refused(format!(
        "element {place} of input `{}` is beyond 2^53, where a double does not hold every whole number",
        shown(tensor)
    ))
    .with_hint("send it as BYTES when it is a key"))
}
