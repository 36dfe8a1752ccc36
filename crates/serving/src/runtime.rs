//! Loads ONNX models.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime, SignatureHint};
use perennial_core::{Error, ErrorCode, Result};
use perennial_onnx::{Model, OnnxPredictor, infer_signature};
use tokio::sync::{Notify, Semaphore};

use crate::model_error::onnx_error;
use crate::ort::{OnnxRuntime, WorkerOptions};

/// The size limit of a model file, which is read into memory, bytes.
pub const MODEL_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Predictions of one model that may take seconds, at the same time.
const HEAVY_PREDICTIONS_MAX: usize = 2;

/// Further predictions of one model that may wait for these.
const HEAVY_PREDICTIONS_WAITING_MAX: usize = 32;

/// Loads models with the built-in evaluator when it supports every operator, else with ONNX Runtime in worker processes.
#[derive(Debug, Clone)]
pub struct Runtime {
    onnx_runtime: Arc<OnnxRuntime>,
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
        Self { onnx_runtime: Arc::new(OnnxRuntime::new(library, workers)) }
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

    /// Runs `work` on a blocking thread. The caller limits the number of loads.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&runtime));
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
    evaluator: Arc<Evaluator>,
    signature: Arc<Signature>,
    /// Whether a prediction took too long for the calling thread.
    is_heavy: AtomicBool,
    /// Notified by an interruption.
    interrupted: Notify,
    heavy_predictions: Arc<Semaphore>,
    /// Places of heavy predictions that are computed or wait.
    places: Semaphore,
}

/// The evaluator of a model, on the calling thread.
struct Evaluator {
    predictor: OnnxPredictor,
    /// Counts interruptions: a prediction ends when there is one after its beginning.
    interruptions: AtomicU64,
}

impl Predictor for Evaluator {
    fn signature(&self) -> &Signature {
        self.predictor.signature()
    }

    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let before = self.interruptions.load(Ordering::Relaxed);
        self.predictor.predict_inline(frame, &|| self.interruptions.load(Ordering::Relaxed) != before)
    }
}

impl InProcess {
    fn new(model: &Model, signature: Signature) -> Result<Self> {
        let predictor = OnnxPredictor::new(model, signature.clone()).map_err(onnx_error)?;
        Ok(Self {
            evaluator: Arc::new(Evaluator { predictor, interruptions: AtomicU64::new(0) }),
            signature: Arc::new(signature),
            is_heavy: AtomicBool::new(false),
            interrupted: Notify::new(),
            heavy_predictions: Arc::new(Semaphore::new(HEAVY_PREDICTIONS_MAX)),
            places: Semaphore::new(HEAVY_PREDICTIONS_MAX + HEAVY_PREDICTIONS_WAITING_MAX),
        })
    }

    /// Computes on a blocking thread when one of the model's is free. The computation ends when the future is dropped.
    async fn predict_heavy(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let permit = self.heavy_predictions.clone().acquire_owned().await;
        let permit = permit.map_err(|closed| PredictError::Model(closed.to_string()))?;
        let (evaluator, frame) = (self.evaluator.clone(), frame.clone());
        let (is_dropped, dropped) = on_drop();
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            evaluator.predictor.predict_heavy(&frame, &|| dropped.load(Ordering::Relaxed))
        });
        let computed = computed.await;
        drop(is_dropped);
        computed.map_err(|panic| PredictError::Model(panic.to_string()))?
    }
}

/// Sets a flag when it is dropped.
struct OnDrop(Arc<AtomicBool>);

/// A value, and a flag that its drop sets.
fn on_drop() -> (OnDrop, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    (OnDrop(flag.clone()), flag)
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl LoadedModel for InProcess {
    fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    fn in_process(&self) -> Option<&dyn Predictor> {
        (!self.is_heavy.load(Ordering::Relaxed)).then_some(&*self.evaluator as &dyn Predictor)
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        // Created first: it completes by an interruption from now on.
        let interrupted = self.interrupted.notified();
        if let Some(predictor) = self.in_process() {
            match predictor.predict(frame) {
                Err(PredictError::Budget(_)) => self.is_heavy.store(true, Ordering::Relaxed),
                done => return done,
            }
        }
        let _place = self.places.try_acquire().map_err(|_| {
            let message = format!("{HEAVY_PREDICTIONS_WAITING_MAX} predictions of the model wait");
            PredictError::Runtime(Error::new(ErrorCode::Busy, message).with_hint("try again in a moment"))
        })?;
        tokio::select! {
            computed = self.predict_heavy(frame) => computed,
            () = interrupted => Err(PredictError::Model("the prediction was interrupted".to_owned())),
        }
    }

    fn interrupt(&self) {
        self.evaluator.interruptions.fetch_add(1, Ordering::Relaxed);
        self.interrupted.notify_waiters();
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
