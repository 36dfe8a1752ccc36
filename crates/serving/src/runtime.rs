//! From an ONNX file to something that answers.

use std::path::PathBuf;
use std::sync::Arc;

use perennial_core::model::{Predictor, Signature};
use perennial_core::port::model::{ModelRuntime, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{Model, OnnxPredictor, infer_signature};

use crate::ort;

/// Loads models: by the evaluator of our own where it knows every operator, else by ONNX Runtime.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    library: Option<PathBuf>,
}

impl Runtime {
    /// A runtime that uses the ONNX Runtime library at `library`, if there is one; see
    /// [`find_library`](crate::find_library). It is loaded when the first model needs it.
    pub fn new(library: Option<PathBuf>) -> Self {
        Self { library }
    }

    /// What ONNX Runtime needs to take a model that the evaluator does not.
    fn library(&self, lacking: &perennial_onnx::Error) -> Result<&PathBuf> {
        self.library.as_ref().ok_or_else(|| {
            Error::new(ErrorCode::Model, format!("{lacking}, and no ONNX Runtime library was found"))
                .hint("`pip install onnxruntime`, then name its `capi/libonnxruntime.so…` in `ORT_DYLIB_PATH`")
        })
    }
}

/// An error of the evaluator as people meet it.
fn refused(error: perennial_onnx::Error) -> Error {
    let refused = Error::new(ErrorCode::Model, error.to_string());
    match error {
        perennial_onnx::Error::Input(_) => {
            refused.hint("export the model with the inputs and classes of its signature")
        }
        _ => refused.hint("export the model to ONNX again"),
    }
    .because(error)
}

impl ModelRuntime for Runtime {
    fn load(&self, onnx: &[u8], signature: &Signature) -> Result<Arc<dyn Predictor>> {
        match Model::from_bytes(onnx) {
            Ok(model) => Ok(Arc::new(OnnxPredictor::new(&model, signature.clone()).map_err(refused)?)),
            Err(lacking @ perennial_onnx::Error::Unsupported { .. }) => {
                let library = self.library(&lacking)?;
                Ok(Arc::new(ort::OrtPredictor::new(library, onnx, signature.clone())?))
            }
            Err(error) => Err(refused(error)),
        }
    }

    fn signature(&self, onnx: &[u8], hint: SignatureHint<'_>) -> Result<Signature> {
        match Model::from_bytes(onnx) {
            Ok(model) => {
                let features: Vec<String> = hint.features.iter().map(|feature| feature.name.clone()).collect();
                infer_signature(&model, hint.task, &features, hint.classes).map_err(refused)
            }
            Err(lacking @ perennial_onnx::Error::Unsupported { .. }) => {
                ort::signature(self.library(&lacking)?, onnx, hint)
            }
            Err(error) => Err(refused(error)),
        }
    }
}
