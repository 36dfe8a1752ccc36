//! The evaluator compared with ONNX Runtime on models exported by common libraries, and on random graphs.

#![cfg(test)]

mod agreement;
mod exports;
mod random_graphs;
mod robustness;
