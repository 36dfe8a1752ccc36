//! The evaluator beside ONNX Runtime, on models that the usual libraries export.

mod agreement;
mod exports;
