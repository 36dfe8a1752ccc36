//! Model runtimes: from a model's files to predictions.

use std::sync::Arc;

use crate::error::Result;
use crate::model::{Predictor, Signature};

/// Loads models.
pub trait ModelRuntime: Send + Sync {
    /// Loads an ONNX model: with the built-in evaluator when it supports every operator, else with ONNX Runtime,
    /// else an error that names both. Takes up to seconds; never call it on a thread that answers HTTP.
    fn load(&self, onnx: &[u8], signature: &Signature) -> Result<Arc<dyn Predictor>>;

    /// Infers the signature from an ONNX model that comes without one.
    fn signature(&self, onnx: &[u8], hint: SignatureHint<'_>) -> Result<Signature>;
}

/// Facts about a model that its ONNX file does not state.
#[derive(Debug, Clone, Copy)]
pub struct SignatureHint<'a> {
    /// The task.
    pub task: crate::task::TaskKind,
    /// Feature columns with their kinds, in the training data's order.
    pub features: &'a [crate::model::Input],
    /// Classes of the target in order, for multiclass.
    pub classes: &'a [String],
}
