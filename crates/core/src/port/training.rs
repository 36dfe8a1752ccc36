//! Built-in trainers.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::frame::Frame;
use crate::model::Signature;
use crate::task::TaskKind;

/// The outcome column of training rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// 0 or 1, one a row.
    Binary(Vec<f64>),
    /// An index into `classes`, one a row.
    Classes {
        /// One a row.
        codes: Vec<u32>,
        /// The classes, ordered.
        classes: Vec<String>,
    },
    /// A number, one a row.
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
