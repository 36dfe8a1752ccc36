//! Decoding with limits, and encoding.

use bytes::Bytes;
use prost::Message;

use super::ModelProto;
use super::validate::validate;
use crate::error::{Error, Result, at_most};
use crate::limits;

/// Decodes a model. What it returns may be given to another runtime, too: the file names no other files, and has no
/// local functions, no field that is unknown here, and only operators of known domains.
///
/// # Errors
/// [`Error::Decode`] when the bytes are not an ONNX file, [`Error::Limit`] when it exceeds the [`limits`],
/// [`Error::Invalid`] with the path of a message that no model may have.
pub fn decode(bytes: &[u8]) -> Result<ModelProto> {
    at_most("bytes", bytes.len() as u64, limits::MODEL_BYTES_MAX)?;
    validate(bytes)?;
    let model = ModelProto::decode(Bytes::copy_from_slice(bytes)).map_err(|error| Error::Decode(error.to_string()))?;
    if model.graph.is_none() {
        return Err(Error::Decode("the file has no graph".into()));
    }
    Ok(model)
}

/// Encodes a model.
pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
