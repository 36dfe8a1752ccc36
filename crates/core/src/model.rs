//! Models as the platform sees them: a signature and numbers.

pub mod classes;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::task::TaskKind;
use classes::ClassKind;

/// How an input column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A number; integers and booleans are taken too.
    Number,
    /// Text.
    Text,
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Text => "text",
        })
    }
}

/// One input column of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The column's name, as in the training data.
    pub name: String,
    /// How it is read.
    pub kind: InputKind,
}

/// The inputs and scores of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The features, in the order the model was trained with.
    pub inputs: Vec<Input>,
    /// The task.
    pub task: TaskKind,
    /// The classes in the order of the scores; empty unless multiclass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The type of the classes.
    #[serde(default, skip_serializing_if = "ClassKind::is_text")]
    pub class_kind: ClassKind,
}

impl Signature {
    /// Scores a row has: one a class for multiclass, else one.
    pub fn width(&self) -> usize {
        match self.task {
            TaskKind::Multiclass => self.classes.len(),
            TaskKind::Binary | TaskKind::Regression => 1,
        }
    }
}

/// Scores, `rows × width` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Scores a row; see [`Signature::width`].
    pub width: usize,
    /// The values. Binary: probability of yes. Multiclass: probabilities in the
    /// order of [`Signature::classes`]. Regression: the number itself.
    pub values: Vec<f64>,
}

impl Scores {
    /// The scores of one row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }
}

/// A model that computes in this process. Many threads may call it concurrently.
pub trait Predictor: Send + Sync {
    /// Its inputs and scores.
    fn signature(&self) -> &Signature;

    /// Scores each row on the calling thread, unless that takes too long for it. `frame` has at least the signature's
    /// inputs, by name.
    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError>;
}

/// Why a model computed no scores.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model does not take a value of the request: the error is the client's.
    #[error("{0}")]
    Input(String),
    /// The model itself failed.
    #[error("{0}")]
    Model(String),
    /// The prediction takes more than the calling thread may compute: the model computes it elsewhere, see
    /// [`LoadedModel::predict`](crate::port::model::LoadedModel::predict).
    #[error("{0}")]
    Budget(String),
}
