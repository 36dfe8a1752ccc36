//! Models by ONNX Runtime, each in worker processes of its own.

mod binding;
mod failed_loads;
mod library;
mod pool;
mod protocol;
mod scores;
mod session;
mod workers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::model::{Input, InputKind, PredictError, Scores, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{ClassLabels, signature_with};

use crate::model_error::{onnx_error, unusable};
use binding::InputBinding;
use failed_loads::FailedLoads;
pub use library::find_library;
use protocol::{Binding, Element};
use scores::ScoreOutput;
pub use session::MODEL_ROLE;
use workers::ModelWorkers;
pub use workers::{WorkerLimits, WorkerOptions};

/// Rows of one call of a worker.
const CALL_ROWS: usize = 4_096;

/// ONNX Runtime, which never runs in this process.
#[derive(Default)]
pub(crate) struct OnnxRuntime {
    /// The library; `None` where none was found.
    library: Option<PathBuf>,
    workers: WorkerOptions,
    failed_loads: FailedLoads,
}

impl fmt::Debug for OnnxRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxRuntime").field("library", &self.library).finish_non_exhaustive()
    }
}

impl OnnxRuntime {
    pub(crate) fn new(library: Option<PathBuf>, workers: WorkerOptions) -> Self {
        Self { library, workers, failed_loads: FailedLoads::default() }
    }

    /// The library, for a model that the evaluator does not support.
    fn library(&self, unsupported: &perennial_onnx::Error) -> Result<&Path> {
        self.library.as_deref().ok_or_else(|| {
            Error::new(ErrorCode::Model, format!("the model needs ONNX Runtime: {unsupported}"))
                .with_hint("`pip install onnxruntime`, then set ORT_DYLIB_PATH to its `capi/libonnxruntime.so…` and restart the server")
        })
    }

    /// Loads a model, of which `onnx` are the validated bytes, in a worker. Blocks.
    pub(crate) fn load(
        &self,
        files: &ModelFiles,
        onnx: &[u8],
        signature: Signature,
        unsupported: &perennial_onnx::Error,
    ) -> Result<OrtModel> {
        let library = self.library(unsupported)?;
        library::validate(library)?;
        let loaded = self.failed_loads.guard(files, || workers::load(&self.workers, library, files))?;
        let labels = ClassLabels::from_bytes(onnx).map_err(onnx_error)?;
        let inputs = InputBinding::new(&loaded.description.inputs, &signature).map_err(unusable)?;
        let output = ScoreOutput::new(&loaded.description.outputs, &signature, &labels)?;
        let binding =
            Binding { inputs: inputs.layouts(), output: output.output.clone(), labels: output.labels.clone() };
        let workers = loaded.serve(files.clone(), binding)?;
        Ok(OrtModel { signature: Arc::new(signature), inputs, output, workers })
    }

    /// Infers the signature of a model, of which `onnx` are the validated bytes, in a worker. Blocks.
    pub(crate) fn signature(
        &self,
        files: &ModelFiles,
        onnx: &[u8],
        hint: &SignatureHint,
        unsupported: &perennial_onnx::Error,
    ) -> Result<Signature> {
        let library = self.library(unsupported)?;
        library::validate(library)?;
        let loaded = self.failed_loads.guard(files, || workers::load(&self.workers, library, files))?;
        let inputs = &loaded.description.inputs;
        let is_matrix = match &inputs[..] {
            [only] => only.shape().and_then(|shape| shape.get(1)) != Some(&1),
            _ => false,
        };
        let inputs = if is_matrix {
            hint.features.clone()
        } else {
            let kind = |element| if element == Some(Element::Text) { InputKind::Text } else { InputKind::Number };
            inputs
                .iter()
                .map(|input| Input { name: input.name.clone(), kind: kind(input.element()), time: None })
                .collect()
        };
        let labels = ClassLabels::from_bytes(onnx).map_err(onnx_error)?;
        signature_with(inputs, hint, labels.of_model()).map_err(onnx_error)
    }
}

/// A model that workers compute by ONNX Runtime.
pub(crate) struct OrtModel {
    signature: Arc<Signature>,
    inputs: InputBinding,
    output: ScoreOutput,
    workers: ModelWorkers,
}

#[async_trait]
impl LoadedModel for OrtModel {
    fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let mut scores = Scores { width: self.signature.width(), values: Vec::new() };
        for first in (0..frame.rows()).step_by(CALL_ROWS) {
            let rows = first..frame.rows().min(first + CALL_ROWS);
            let (count, payload) = (rows.len(), self.inputs.encode(frame, rows)?);
            let numbers = self.workers.run(count, payload).await?;
            scores.values.extend(self.output.scores(numbers, count)?.values);
        }
        Ok(scores)
    }

    fn fault(&self) -> Option<String> {
        self.workers.fault()
    }

    fn interrupt(&self) {
        self.workers.interrupt();
    }
}
