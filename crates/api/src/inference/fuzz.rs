//! Parsers of foreign bytes, each as one function that fuzz targets and property tests call.

use perennial_core::frame::Frame;

use super::scoring::payload;
use super::wire;
use crate::limits;

/// A request of the Open Inference Protocol in JSON.
///
/// # Panics
/// The parser has a fault.
pub fn v2_json(bytes: &[u8]) {
    if let Ok(request) = wire::read(bytes, None) {
        within_limits(&request.inputs);
    }
}

/// A request of the Open Inference Protocol with raw tensors. The first two bytes are the length of the JSON part.
///
/// # Panics
/// The parser has a fault.
pub fn v2_binary(bytes: &[u8]) {
    let Some((length, body)) = bytes.split_first_chunk::<2>() else { return };
    if let Ok(request) = wire::read(body, Some(u16::from_le_bytes(*length).into())) {
        within_limits(&request.inputs);
    }
}

/// A request of MLflow's scoring protocol, in JSON and in CSV.
///
/// # Panics
/// A parser has a fault.
pub fn scoring(bytes: &[u8]) {
    let _ = payload::quoted(bytes).is_ok_and(|body| payload::read(&body).is_ok());
    let _ = payload::read_csv(bytes);
}

fn within_limits(inputs: &Frame) {
    assert!(inputs.rows() <= limits::INFER_ROWS_MAX, "{} rows", inputs.rows());
    assert!(inputs.columns().len() <= limits::INFER_TENSORS_MAX, "{} columns", inputs.columns().len());
}

#[cfg(test)]
mod tests;
