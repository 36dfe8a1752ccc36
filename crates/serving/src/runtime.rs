//! Loads ONNX models.

use std::path::PathBuf;
use std::sync::Arc;

use perennial_core::model::{Predictor, Signature};
use perennial_core::port::model::{ModelRuntime, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{Model, OnnxPredictor, infer_signature};

use crate::ort;

/// Loads models with the built-in evaluator when it supports every operator, else with ONNX Runtime.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    library: Option<PathBuf>,
}

impl Runtime {
    /// A runtime that loads the ONNX Runtime library at `library` when the first model needs it; see
    /// [`find_library`](crate::find_library).
    pub fn new(library: Option<PathBuf>) -> Self {
        Self { library }
    }

    /// The ONNX Runtime library, for a model that the evaluator does not support.
    fn library(&self, unsupported: &perennial_onnx::Error) -> Result<&PathBuf> {
        self.library.as_ref().ok_or_else(|| {
            Error::new(ErrorCode::Model, format!("{unsupported}, and no ONNX Runtime library was found"))
                .with_hint("`pip install onnxruntime`, then name its `capi/libonnxruntime.so…` in `ORT_DYLIB_PATH`")
        })
    }
}

/// Converts an error of the evaluator.
fn evaluator_error(error: perennial_onnx::Error) -> Error {
    let converted = Error::new(ErrorCode::Model, error.to_string());
    match error {
        perennial_onnx::Error::Input(_) => {
            converted.with_hint("export the model with the inputs and classes of its signature")
        }
        _ => converted.with_hint("export the model to ONNX again"),
    }
    .with_source(error)
}

impl ModelRuntime for Runtime {
    fn load(&self, onnx: &[u8], signature: &Signature) -> Result<Arc<dyn Predictor>> {
        match Model::from_bytes(onnx) {
            Ok(model) => Ok(Arc::new(OnnxPredictor::new(&model, signature.clone()).map_err(evaluator_error)?)),
            Err(unsupported @ perennial_onnx::Error::Unsupported { .. }) => {
                let library = self.library(&unsupported)?;
                Ok(Arc::new(ort::OrtPredictor::new(library, onnx, signature.clone())?))
            }
            Err(error) => Err(evaluator_error(error)),
        }
    }

    fn signature(&self, onnx: &[u8], hint: SignatureHint<'_>) -> Result<Signature> {
        match Model::from_bytes(onnx) {
            Ok(model) => {
                let features: Vec<String> = hint.features.iter().map(|feature| feature.name.clone()).collect();
                infer_signature(&model, hint.task, &features, hint.classes).map_err(evaluator_error)
            }
            Err(unsupported @ perennial_onnx::Error::Unsupported { .. }) => {
                ort::signature(self.library(&unsupported)?, onnx, hint)
            }
            Err(error) => Err(evaluator_error(error)),
        }
    }
}
