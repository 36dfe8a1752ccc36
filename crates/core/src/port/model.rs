//! Model runtimes: from a model's files to predictions.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob::BlobDigest;
use crate::error::Result;
use crate::frame::Frame;
use crate::model::{Input, PredictError, Predictor, Scores, Signature};
use crate::path::RelativePath;
use crate::task::TaskKind;

/// Loads models.
#[async_trait]
pub trait ModelRuntime: Send + Sync {
    /// Loads an ONNX model. Needs seconds at most, but blocks no thread that answers HTTP. A runtime that reads the files
    /// later, such as one in a child process, keeps `files` as long.
    async fn load(&self, files: ModelFiles, signature: &Signature) -> Result<Arc<dyn LoadedModel>>;

    /// Infers the signature of an ONNX model that comes without one.
    async fn signature(&self, files: ModelFiles, hint: SignatureHint) -> Result<Signature>;
}

/// A model's files in a local folder, named by their content.
#[derive(Clone)]
pub struct ModelFiles {
    /// Digest of the folder's manifest: the same content has the same digest on every machine.
    pub digest: BlobDigest,
    /// The folder. Its files are read-only.
    pub folder: PathBuf,
    /// Path of the ONNX file in it.
    pub onnx: RelativePath,
    /// Keeps the folder on disk while a clone of it exists.
    pub lease: Arc<dyn Any + Send + Sync>,
}

impl ModelFiles {
    /// Path of the ONNX file.
    pub fn onnx_path(&self) -> PathBuf {
        self.folder.join(&self.onnx)
    }
}

/// A model ready to predict. Many tasks may call it concurrently.
#[async_trait]
pub trait LoadedModel: Send + Sync {
    /// Its inputs and scores.
    fn signature(&self) -> &Arc<Signature>;

    /// The model itself, when it computes on the calling thread and never waits: callers then predict without the
    /// cost of a future. `None` for a model that may wait: for a session, a process, the network. A prediction that takes
    /// too long for the calling thread ends with [`PredictError::Budget`], and the caller [predicts](Self::predict).
    fn in_process(&self) -> Option<&dyn Predictor> {
        None
    }

    /// Scores each row. `frame` has at least the signature's inputs, by name. Blocks no thread, except that a model
    /// that computes [in process](Self::in_process) computes short predictions on the calling thread.
    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError>;

    /// Why the model computes nothing at present, such as the cause for which its workers die; `None` while it may.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Ends the predictions that run or wait, where they can be ended: they fail. It does not change later ones.
    fn interrupt(&self) {}
}

/// Facts about a model that its ONNX file does not state.
#[derive(Debug, Clone)]
pub struct SignatureHint {
    /// The task.
    pub task: TaskKind,
    /// Feature columns with their kinds, in the training data's order.
    pub features: Vec<Input>,
    /// Classes in the order of the model's scores, for a multiclass model that does not name them.
    pub classes: Vec<String>,
    /// Whether the target is a column of numbers.
    pub are_outcomes_numbers: bool,
}

impl SignatureHint {
    /// A hint that states the task alone.
    pub fn new(task: TaskKind) -> Self {
        Self { task, features: Vec::new(), classes: Vec::new(), are_outcomes_numbers: false }
    }
}
