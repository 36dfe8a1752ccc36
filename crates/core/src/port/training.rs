//! Built-in trainers.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::frame::Frame;
use crate::model::Signature;
use crate::task::TaskKind;

/// The target column of the training rows, one value a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// 0 or 1, for [`TaskKind::Binary`].
    Binary(Vec<f64>),
    /// One of several classes, for [`TaskKind::Multiclass`].
    Classes {
        /// Indices into `classes`.
        codes: Vec<u32>,
        /// The classes, in the order of the scores; some may occur in no row.
        classes: Vec<String>,
    },
    /// Finite numbers, for [`TaskKind::Regression`].
    Numbers(Vec<f64>),
}

/// A trained model and what is worth logging of its training.
#[derive(Debug, Clone)]
pub struct TrainedModel {
    /// The model as an ONNX file.
    pub onnx: Vec<u8>,
    /// Inputs, task and classes.
    pub signature: Signature,
    /// Every parameter, defaults filled in.
    pub params: Map<String, Value>,
    /// Name, step, value.
    pub metrics: Vec<(String, i64, f64)>,
    /// Share of each feature in the model's gain or weight, greatest first.
    pub importance: Vec<(String, f64)>,
    /// What makes the model doubtful, one line each.
    pub warnings: Vec<String>,
}

/// Trains models; pure computation, called off the async runtime.
pub trait Trainer: Send + Sync {
    /// Trains `kind` (`gbdt`, `linear`) on rows whose columns are exactly the features.
    fn train(
        &self,
        kind: &str,
        task: TaskKind,
        features: &Frame,
        target: &Target,
        params: &Map<String, Value>,
    ) -> Result<TrainedModel>;

    /// Changes whenever the same rows could give another model; part of cache keys.
    fn version(&self) -> &'static str;
}
