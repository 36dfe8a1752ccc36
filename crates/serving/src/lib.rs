//! Model runtimes and the prediction log.
//!
//! [`Runtime`] makes ONNX files ready to answer, by the evaluator of our own
//! or by ONNX Runtime. [`SegmentLog`] keeps what endpoints answered, on disk
//! before the answer.

mod log;
mod ort;
mod runtime;

pub use log::{LogLimits, RECORD_MAX_BYTES, SegmentLog};
pub use ort::find_library;
pub use runtime::Runtime;
