//! Decoding with limits that are checked before memory is allocated.

use bytes::{Buf, Bytes};
use prost::Message;

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

/// Counts nodes, values and attributes in the encoded bytes, so that a small file
/// of many empty messages cannot allocate much memory.
fn check_counts(bytes: &[u8]) -> Result<()> {
    let (mut nodes, mut values, mut attributes) = (0, 0, 0);
    each_field(bytes, |tag, graph| {
        if tag == 8 || tag == 14 {
            values += 1;
        }
        if tag != 7 {
            return at_most("values", values, limits::GRAPH_VALUES_MAX);
        }
        each_field(graph, |tag, inner| {
            match tag {
                1 => {
                    nodes += 1;
                    each_field(inner, |tag, _| {
                        attributes += u64::from(matches!(tag, 1 | 2 | 5));
                        Ok(())
                    })?;
                }
                5 | 11 | 12 => values += 1,
                _ => {}
            }
            at_most("nodes", nodes, limits::GRAPH_NODES_MAX)?;
            at_most("values", values, limits::GRAPH_VALUES_MAX)?;
            at_most("attributes", attributes, limits::ATTRIBUTES_MAX)
        })
    })
}

/// Calls `visit` with the field number and content of each length-delimited field.
fn each_field(mut bytes: &[u8], mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let cut = || Error::Decode("the file ends within a field".into());
    while !bytes.is_empty() {
        let key = prost::decode_length_delimiter(&mut bytes).map_err(|error| Error::Decode(error.to_string()))? as u64;
        let skip = match key & 7 {
            0 => {
                while bytes.split_off_first().ok_or_else(cut)? & 0x80 != 0 {}
                0
            }
            1 => 8,
            5 => 4,
            2 => {
                let length =
                    prost::decode_length_delimiter(&mut bytes).map_err(|error| Error::Decode(error.to_string()))?;
                visit(key >> 3, bytes.get(..length).ok_or_else(cut)?)?;
                length
            }
            _ => return Err(Error::Decode("a field has an unknown wire type".into())),
        };
        if skip > bytes.len() {
            return Err(cut());
        }
        bytes.advance(skip);
    }
    Ok(())
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
            return Err(Error::Invalid(format!("attribute `{}` has a text of more than 1 MiB", attribute.name)));
        }
    }
    Ok(())
}

fn validate_tensor(tensor: &TensorProto) -> Result<()> {
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return Err(Error::Invalid(format!(
            "tensor `{}` stores its data in another file, expected a model in one file",
            tensor.name
        )));
    }
    at_most("dimensions of a tensor", tensor.dims.len() as u64, limits::TENSOR_RANK_MAX as u64)?;
    let mut elements = 1_u64;
    for &length in &tensor.dims {
        let length = u64::try_from(length)
            .map_err(|_| Error::Invalid(format!("tensor `{}` has a negative dimension", tensor.name)))?;
        elements = elements.saturating_mul(length.max(1));
    }
    at_most("elements of a tensor", elements, limits::TENSOR_ELEMENTS_MAX)?;
    if tensor.string_data.iter().any(|text| text.len() as u64 > limits::TEXT_BYTES_MAX) {
        return Err(Error::Invalid(format!("tensor `{}` has a text of more than 1 MiB", tensor.name)));
    }
    Ok(())
}
