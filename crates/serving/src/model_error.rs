//! Errors of models, each with what to do.

use perennial_core::{Error, ErrorCode};

/// Converts an error of the reader or the evaluator.
pub(crate) fn onnx_error(error: perennial_onnx::Error) -> Error {
    let converted = Error::new(ErrorCode::Model, error.to_string());
    match &error {
        perennial_onnx::Error::Input(_) => {
            converted.with_hint("export the model with the inputs and classes of its signature")
        }
        perennial_onnx::Error::Outcomes { labels } => {
            let positive = labels.last().map_or("yes", String::as_str).escape_debug();
            converted.with_hint(format!(
                "train it on the outcomes themselves, such as `y = (y == \"{positive}\").astype(int)`, and export it again"
            ))
        }
        _ => converted.with_hint("export the model to ONNX again"),
    }
    .with_source(error)
}

/// A model whose inputs or outputs do not fit its signature.
pub(crate) fn unusable(reason: String) -> Error {
    Error::new(ErrorCode::Model, reason).with_hint("export the model with the inputs and classes of its signature")
}
