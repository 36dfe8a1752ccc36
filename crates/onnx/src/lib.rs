//! ONNX files: reading, writing, and an evaluator for classical models.
//!
//! * [`proto`]: the messages of an `.onnx` file, with a bounded decoder.
//! * [`build`]: writes models, for the trainers built in.
//! * [`Model`]: runs models of the classical kind (trees, linear models, small
//!   networks and their preprocessing) with nothing installed. For anything
//!   else [`Error::Unsupported`] says what is lacking.
//! * [`OnnxPredictor`]: a [`Model`] as the platform's predictor.

pub mod build;
mod constant;
mod error;
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
pub use model::{Model, Value};
pub use predictor::{OnnxPredictor, infer_signature};
pub use tensor::{Data, Kind, Tensor};
