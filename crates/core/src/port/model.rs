//! Model runtimes: from a model's files to something that answers.

use std::sync::Arc;

use crate::error::Result;
use crate::model::{Predictor, Signature};

/// Loads models.
pub trait ModelRuntime: Send + Sync {
    /// Makes an ONNX file ready to answer: by the evaluator of our own where it
    /// knows every operator, else by ONNX Runtime, else an error that names both.
    /// Heavy; never call it on the runtime that answers HTTP.
    fn load(&self, onnx: &[u8], signature: &Signature) -> Result<Arc<dyn Predictor>>;

    /// What the file itself says of its inputs, for a model that came without signature:
    /// `features` are the columns it will be asked with, `task` what it has to answer.
    fn signature(&self, onnx: &[u8], hint: SignatureHint<'_>) -> Result<Signature>;
}

/// What is known of a model beside its file.
#[derive(Debug, Clone, Copy)]
pub struct SignatureHint<'a> {
    /// The task.
    pub task: crate::task::TaskKind,
    /// Feature columns with their kinds, in the training data's order.
    pub features: &'a [crate::model::Input],
    /// Classes of the target in order, for multiclass.
    pub classes: &'a [String],
}
