//! The trainers as their callers see them, beside ONNX Runtime and scikit-learn.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what cannot go on ends with its reason")]

mod agreement;
mod behaviour;
mod data;
mod evaluator;
mod flights;
mod python;
mod refusals;
mod scikit;
