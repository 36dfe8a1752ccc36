//! The evaluator compared with ONNX Runtime, on models exported by common libraries.

#![cfg(test)]

mod agreement;
mod exports;
mod robustness;
