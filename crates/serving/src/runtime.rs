//! Loads ONNX models.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{Model, OnnxPredictor, infer_signature};
use tokio::sync::Semaphore;

use crate::model_error::onnx_error;
use crate::ort::{OnnxRuntime, WorkerOptions};

/// The size limit of a model file, which is read into memory, bytes.
pub const MODEL_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Predictions of one model that may take seconds, at the same time.
const HEAVY_PREDICTIONS_MAX: usize = 2;

/// Models that are loaded at the same time.
const LOADS_MAX: usize = 4;

/// Loads models with the built-in evaluator when it supports every operator, else with ONNX Runtime in worker processes.
#[derive(Debug, Clone)]
pub struct Runtime {
    onnx_runtime: Arc<OnnxRuntime>,
    loads: Arc<Semaphore>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Runtime {
    /// A runtime whose workers are this binary, started with [`WORKER_ARGUMENT`](perennial_worker::WORKER_ARGUMENT). They
    /// load the ONNX Runtime library at `library` when a model needs it; see [`find_library`](crate::find_library).
    pub fn new(library: Option<PathBuf>) -> Self {
        Self::with_workers(library, WorkerOptions::default())
    }

    /// A runtime with other workers.
    pub fn with_workers(library: Option<PathBuf>, workers: WorkerOptions) -> Self {
        let onnx_runtime = Arc::new(OnnxRuntime::new(library, workers));
        Self { onnx_runtime, loads: Arc::new(Semaphore::new(LOADS_MAX)) }
    }

    fn load_blocking(&self, files: &ModelFiles, signature: Signature) -> Result<Arc<dyn LoadedModel>> {
        let onnx = read(files)?;
        match Model::from_bytes(&onnx) {
            Ok(model) => Ok(Arc::new(InProcess::new(&model, signature)?)),
            Err(unsupported @ perennial_onnx::Error::Unsupported { .. }) => {
                Ok(Arc::new(self.onnx_runtime.load(files, &onnx, signature, &unsupported)?))
            }
            Err(error) => Err(onnx_error(error)),
        }
    }

    fn signature_blocking(&self, files: &ModelFiles, hint: &SignatureHint) -> Result<Signature> {
        let onnx = read(files)?;
        match Model::from_bytes(&onnx) {
            Ok(model) => infer_signature(&model, hint).map_err(onnx_error),
            Err(unsupported @ perennial_onnx::Error::Unsupported { .. }) => {
                self.onnx_runtime.signature(files, &onnx, hint, &unsupported)
            }
            Err(error) => Err(onnx_error(error)),
        }
    }

    /// Runs `work` on a blocking thread, at most [`LOADS_MAX`] at the same time.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.loads.clone().acquire_owned().await;
        let permit = permit.map_err(|closed| Error::internal("the server is stopping", closed))?;
        let runtime = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&runtime)
        });
        done.await.map_err(|panic| Error::internal("loading a model panicked", panic))?
    }
}

#[async_trait]
impl ModelRuntime for Runtime {
    async fn load(&self, files: ModelFiles, signature: &Signature) -> Result<Arc<dyn LoadedModel>> {
        let signature = signature.clone();
        self.run_blocking(move |runtime| runtime.load_blocking(&files, signature)).await
    }

    async fn signature(&self, files: ModelFiles, hint: SignatureHint) -> Result<Signature> {
        self.run_blocking(move |runtime| runtime.signature_blocking(&files, &hint)).await
    }
}

/// A model that the built-in evaluator computes: on the calling thread, unless it takes too long for it.
struct InProcess {
    predictor: Arc<OnnxPredictor>,
    signature: Arc<Signature>,
    /// Whether a prediction took too long for the calling thread.
    is_heavy: AtomicBool,
    heavy_predictions: Arc<Semaphore>,
}

impl InProcess {
    fn new(model: &Model, signature: Signature) -> Result<Self> {
        let predictor = OnnxPredictor::new(model, signature.clone()).map_err(onnx_error)?;
        Ok(Self {
            predictor: Arc::new(predictor),
            signature: Arc::new(signature),
            is_heavy: AtomicBool::new(false),
            heavy_predictions: Arc::new(Semaphore::new(HEAVY_PREDICTIONS_MAX)),
        })
    }
}

#[async_trait]
impl LoadedModel for InProcess {
    fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    fn in_process(&self) -> Option<&dyn Predictor> {
        (!self.is_heavy.load(Ordering::Relaxed)).then_some(&*self.predictor as &dyn Predictor)
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        if let Some(predictor) = self.in_process() {
            match predictor.predict(frame) {
                Err(PredictError::Budget(_)) => self.is_heavy.store(true, Ordering::Relaxed),
                done => return done,
            }
        }
        let permit = self.heavy_predictions.clone().acquire_owned().await;
        let permit = permit.map_err(|closed| PredictError::Model(closed.to_string()))?;
        let (predictor, frame) = (self.predictor.clone(), frame.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            predictor.predict_heavy(&frame)
        });
        computed.await.map_err(|panic| PredictError::Model(panic.to_string()))?
    }
}

/// The bytes of the ONNX file.
fn read(files: &ModelFiles) -> Result<Vec<u8>> {
    let path = files.onnx_path();
    let failed = |error| Error::internal(format!("cannot read model file `{}`", files.onnx), error);
    let size_bytes = fs::metadata(&path).map_err(failed)?.len();
    if size_bytes > MODEL_MAX_BYTES {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("model file `{}` has {size_bytes} bytes, expected at most {MODEL_MAX_BYTES}", files.onnx),
        ));
    }
    fs::read(&path).map_err(failed)
}
