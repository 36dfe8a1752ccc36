//! Models by ONNX Runtime, loaded from a library at run time.

mod binding;
mod library;
mod pool;
mod scores;

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use ::ort::session::Session;
use ::ort::value::ValueType;
use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::model::{Input, InputKind, PredictError, Scores, Signature};
use perennial_core::port::model::{LoadedModel, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{ClassLabels, signature_with};

use crate::runtime::onnx_error;
use binding::InputBinding;
pub use library::find_library;
use pool::Pool;
use scores::ScoreOutput;

/// Sessions of one model. A session runs one prediction at a time.
const SESSIONS_MAX: usize = 4;

/// A larger model file gets one session, because each session holds a copy of the weights.
const SEVERAL_SESSIONS_BYTES: usize = 32 * 1024 * 1024;

/// A model that ONNX Runtime computes, on blocking threads.
pub(crate) struct OrtModel {
    signature: Arc<Signature>,
    inputs: InputBinding,
    output: Arc<ScoreOutput>,
    sessions: Arc<Pool<Session>>,
}

impl OrtModel {
    /// Loads the model with the library at `library`.
    pub(crate) fn new(library: &Path, onnx: &[u8], signature: Signature) -> Result<Self> {
        let count = if onnx.len() > SEVERAL_SESSIONS_BYTES {
            1
        } else {
            available_parallelism().map_or(1, |cores| cores.get().min(SESSIONS_MAX))
        };
        let sessions = (0..count).map(|_| session(library, onnx)).collect::<Result<Vec<_>>>()?;
        let first = sessions.first().ok_or_else(|| unusable("no session was created".to_owned()))?;
        let inputs = InputBinding::new(first.inputs(), &signature).map_err(unusable)?;
        let labels = ClassLabels::from_bytes(onnx).map_err(onnx_error)?;
        let output = Arc::new(ScoreOutput::new(first.outputs(), &signature, &labels)?);
        Ok(Self { signature: Arc::new(signature), inputs, output, sessions: Pool::new(sessions) })
    }
}

#[async_trait]
impl LoadedModel for OrtModel {
    fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let inputs = self.inputs.tensors(frame)?;
        let missing = || PredictError::Model("the session is missing".to_owned());
        let mut pooled = self.sessions.acquire().await.ok_or_else(missing)?;
        let (output, rows) = (self.output.clone(), frame.rows());
        let computed = tokio::task::spawn_blocking(move || {
            let session = pooled.get_mut().ok_or_else(missing)?;
            let outputs = session.run(inputs).map_err(|error| PredictError::Model(error.to_string()))?;
            output.scores(&outputs, rows)
        });
        computed.await.map_err(|panic| PredictError::Model(panic.to_string()))?
    }
}

/// Infers the signature from the file's inputs.
pub(crate) fn signature(library: &Path, onnx: &[u8], hint: &SignatureHint) -> Result<Signature> {
    let session = session(library, onnx)?;
    let inputs: Vec<Input> = session
        .inputs()
        .iter()
        .map(|outlet| {
            let is_text = outlet.dtype().tensor_type() == Some(::ort::value::TensorElementType::String);
            let kind = if is_text { InputKind::Text } else { InputKind::Number };
            Input { name: outlet.name().to_owned(), kind }
        })
        .collect();
    let is_matrix = match session.inputs() {
        [only] => only.dtype().tensor_shape().and_then(|shape| shape.get(1)) != Some(&1),
        _ => false,
    };
    let inputs = if is_matrix { hint.features.clone() } else { inputs };
    let labels = ClassLabels::from_bytes(onnx).map_err(onnx_error)?;
    signature_with(inputs, hint, labels.of_model()).map_err(onnx_error)
}

fn session(library: &Path, onnx: &[u8]) -> Result<Session> {
    let environment = library::environment(library)?;
    let session = Session::builder(&environment)
        .and_then(|builder| builder.with_intra_threads(1).map_err(::ort::Error::from))
        .and_then(|mut builder| builder.commit_from_memory(onnx));
    session.map_err(|error| {
        Error::new(ErrorCode::Model, format!("ONNX Runtime rejected the model: {}", one_line(&error.to_string())))
            .with_hint("export the model to ONNX again, with operators of a version that the library knows")
    })
}

fn unusable(reason: String) -> Error {
    Error::new(ErrorCode::Model, reason).with_hint("export the model with the inputs and classes of its signature")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of a value's type.
fn type_of(value: &ValueType) -> String {
    value.tensor_type().map_or_else(|| "not a tensor".to_owned(), |kind| format!("{kind:?}").to_lowercase())
}
