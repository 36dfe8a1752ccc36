//! Conversion of tensor messages to tensors.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::proto::{DataType, TensorProto};
use crate::tensor::{Data, ElementType, Tensor};

/// Converts a tensor message; unsupported element types give [`Error::Unsupported`].
pub(crate) fn to_tensor(proto: &TensorProto) -> Result<Tensor> {
    let invalid = |what: &str| Error::Invalid(format!("tensor `{}`: {what}", proto.name()));
    let shape = proto
        .dims
        .iter()
        .map(|&length| usize::try_from(length))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid("a dimension is negative"))?;
    let raw = proto.raw_data();
    let is_raw = !raw.is_empty();
    let Some(kind) = ElementType::from_onnx(proto.data_type()) else {
        let kind =
            DataType::try_from(proto.data_type()).map_or("of unknown type".to_owned(), |kind| format!("{kind:?}"));
        return Err(Error::Unsupported { operators: vec![format!("tensors of {kind}")] });
    };
    let data = match kind {
        ElementType::F32 if is_raw => Data::F32(from_le(raw, f32::from_le_bytes)),
        ElementType::F32 => Data::F32(proto.float_data.clone()),
        ElementType::F64 if is_raw => Data::F64(from_le(raw, f64::from_le_bytes)),
        ElementType::F64 => Data::F64(proto.double_data.clone()),
        ElementType::I64 if is_raw => Data::I64(from_le(raw, i64::from_le_bytes)),
        ElementType::I64 => Data::I64(proto.int64_data.clone()),
        ElementType::I32 if is_raw => Data::I32(from_le(raw, i32::from_le_bytes)),
        ElementType::I32 => Data::I32(proto.int32_data.clone()),
        ElementType::Bool if is_raw => Data::Bool(raw.iter().map(|&byte| byte != 0).collect()),
        ElementType::Bool => Data::Bool(proto.int32_data.iter().map(|&value| value != 0).collect()),
        ElementType::Text => Data::Text(
            proto
                .string_data
                .iter()
                .map(|bytes| std::str::from_utf8(bytes).map(Arc::from))
                .collect::<Result<_, _>>()
                .map_err(|_| invalid("a text is not UTF-8"))?,
        ),
    };
    Tensor::new(shape, data).ok_or_else(|| invalid("the shape does not match the number of elements"))
}

/// Parses little-endian elements of `N` bytes; empty when bytes are left over, which the caller's element count detects.
fn from_le<const N: usize, T>(raw: &[u8], parse: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, rest) = raw.as_chunks::<N>();
    if rest.is_empty() { chunks.iter().map(|&chunk| parse(chunk)).collect() } else { Vec::new() }
}
