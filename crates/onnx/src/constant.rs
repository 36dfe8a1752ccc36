//! Constants of a file as tensors.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::proto::{DataType, TensorProto};
use crate::tensor::{Data, Kind, Tensor};

/// Reads a constant. Types that the evaluator lacks give [`Error::Unsupported`].
pub(crate) fn read(proto: &TensorProto) -> Result<Tensor> {
    let invalid = |what: &str| Error::Invalid(format!("tensor `{}`: {what}", proto.name));
    let shape = proto
        .dims
        .iter()
        .map(|&length| usize::try_from(length))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid("a dimension is negative"))?;
    let raw = &proto.raw_data[..];
    let is_raw = !raw.is_empty();
    let Some(kind) = Kind::of(proto.data_type) else {
        let kind = DataType::try_from(proto.data_type).map_or("of unknown type".to_owned(), |kind| format!("{kind:?}"));
        return Err(Error::Unsupported { operators: vec![format!("tensors of {kind}")] });
    };
    let data = match kind {
        Kind::F32 if is_raw => Data::F32(fixed(raw, f32::from_le_bytes)),
        Kind::F32 => Data::F32(proto.float_data.clone()),
        Kind::F64 if is_raw => Data::F64(fixed(raw, f64::from_le_bytes)),
        Kind::F64 => Data::F64(proto.double_data.clone()),
        Kind::I64 if is_raw => Data::I64(fixed(raw, i64::from_le_bytes)),
        Kind::I64 => Data::I64(proto.int64_data.clone()),
        Kind::I32 if is_raw => Data::I32(fixed(raw, i32::from_le_bytes)),
        Kind::I32 => Data::I32(proto.int32_data.clone()),
        Kind::Bool if is_raw => Data::Bool(raw.iter().map(|&byte| byte != 0).collect()),
        Kind::Bool => Data::Bool(proto.int32_data.iter().map(|&value| value != 0).collect()),
        Kind::Text => Data::Text(
            proto
                .string_data
                .iter()
                .map(|bytes| std::str::from_utf8(bytes).map(Arc::from))
                .collect::<Result<_, _>>()
                .map_err(|_| invalid("a text is not UTF-8"))?,
        ),
    };
    Tensor::new(shape, data).ok_or_else(|| invalid("the shape does not fit the number of elements"))
}

/// Little-endian elements of `N` bytes; a rest that fills none is left to the count to find.
fn fixed<const N: usize, T>(raw: &[u8], parse: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, rest) = raw.as_chunks::<N>();
    if rest.is_empty() { chunks.iter().map(|&chunk| parse(chunk)).collect() } else { Vec::new() }
}
