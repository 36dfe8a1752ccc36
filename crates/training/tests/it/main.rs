//! Tests of the trainers' public functions, compared with ONNX Runtime and scikit-learn.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails with the reason")]

mod agreement;
mod data;
mod evaluator;
mod flights;
mod invalid_input;
mod port;
mod python;
mod scikit_learn;
mod training;
