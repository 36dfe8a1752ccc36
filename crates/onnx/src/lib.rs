//! ONNX files: reading, writing, and an evaluator for classical models.
//!
//! * [`proto`]: the protobuf messages of an `.onnx` file, with a decoder that limits their size.
//! * [`build`]: writes models, for the built-in trainers.
//! * [`Model`]: evaluates classical models (trees, linear models, small networks
//!   and their preprocessing) without any runtime. For other models,
//!   [`Error::Unsupported`] lists the missing operators and types.
//! * [`OnnxPredictor`]: a [`Model`] as a [`perennial_core::model::Predictor`].
//!
//! The tensor operators of the domain `ai.onnx` are frozen: those that exports
//! of classical models contain are implemented, and no further ones are added.
//! ONNX Runtime evaluates every other model. What this crate develops are the
//! tree ensembles and the other operators of `ai.onnx.ml`.

pub mod build;
mod constant;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod labels;
pub mod limits;
mod model;
mod node;
mod operator;
mod post_transform;
mod predictor;
pub mod proto;
mod tensor;
mod trees;

pub use error::{Error, Result};
pub use labels::Labels;
pub use model::{ClassLabels, Model, Value};
pub use predictor::{OnnxPredictor, infer_signature, signature_with};
pub use tensor::{Data, ElementType, Tensor};
