//! Model runtimes and the prediction log.
//!
//! [`Runtime`] loads ONNX models, with the built-in evaluator or, in worker processes, ONNX Runtime. [`SegmentLog`] writes each
//! prediction to disk before its answer is sent.

mod log;
mod model_error;
mod ort;
mod runtime;

pub use log::{LogLimits, RECORD_MAX_BYTES, SegmentLog};
pub use ort::{MODEL_ROLE, WorkerLimits, WorkerOptions, find_library};
pub use runtime::{MODEL_MAX_BYTES, Runtime};
