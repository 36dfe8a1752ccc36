//! The evaluator beside ONNX Runtime, on models that the usual libraries export.

#![cfg(test)]

mod agreement;
mod exports;
mod robustness;
