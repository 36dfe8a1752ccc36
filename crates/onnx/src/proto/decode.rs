//! Decoding with limits, and encoding.

use bytes::Bytes;
use prost::Message;

use super::size::check_counts;
use super::{GraphProto, ModelProto, TensorProto};
use crate::error::{Error, Result, at_most};
use crate::limits;

/// Decodes a model.
///
/// # Errors
/// [`Error::Decode`] when the bytes are not an ONNX file, [`Error::Limit`] when it
/// exceeds the [`limits`], [`Error::Invalid`] when tensor data is stored in other files.
pub fn decode(bytes: &[u8]) -> Result<ModelProto> {
    at_most("bytes", bytes.len() as u64, limits::MODEL_BYTES_MAX)?;
    check_counts(bytes)?;
    let model = ModelProto::decode(Bytes::copy_from_slice(bytes)).map_err(|error| Error::Decode(error.to_string()))?;
    let graph = model.graph.as_ref().ok_or_else(|| Error::Decode("the file has no graph".into()))?;
    validate(graph)?;
    Ok(model)
}

/// Encodes a model.
pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

fn validate(graph: &GraphProto) -> Result<()> {
    for tensor in &graph.initializer {
        validate_tensor(tensor)?;
    }
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        if let Some(tensor) = &attribute.t {
            validate_tensor(tensor)?;
        }
        if attribute.strings.iter().chain(&attribute.s).any(|text| text.len() as u64 > limits::TEXT_BYTES_MAX) {
            return Err(Error::Invalid(format!("attribute `{}` has a text of more than 1 MiB", attribute.name())));
        }
    }
    Ok(())
}

fn validate_tensor(tensor: &TensorProto) -> Result<()> {
    if tensor.data_location.is_some_and(|location| location != 0) || !tensor.external_data.is_empty() {
        return Err(Error::Invalid(format!(
            "tensor `{}` stores its data in another file, expected a model in one file",
            tensor.name()
        )));
    }
    at_most("dimensions of a tensor", tensor.dims.len() as u64, limits::TENSOR_RANK_MAX as u64)?;
    let mut elements = 1_u64;
    for &length in &tensor.dims {
        let length = u64::try_from(length)
            .map_err(|_| Error::Invalid(format!("tensor `{}` has a negative dimension", tensor.name())))?;
        elements = elements.saturating_mul(length.max(1));
    }
    at_most("elements of a tensor", elements, limits::TENSOR_ELEMENTS_MAX)?;
    if tensor.string_data.iter().any(|text| text.len() as u64 > limits::TEXT_BYTES_MAX) {
        return Err(Error::Invalid(format!("tensor `{}` has a text of more than 1 MiB", tensor.name())));
    }
    Ok(())
}
