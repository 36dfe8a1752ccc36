//! The operators of `ai.onnx.ml` except tree ensembles.

mod array_feature_extractor;
mod encode;
mod linear;
mod scale;
mod svm;

use super::BuildResult;
use crate::node::Node;
use crate::tensor::{Data, Tensor};

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    crate::trees::build(name, node)
        .or_else(|| encode::build(name, node))
        .or_else(|| scale::build(name, node))
        .or_else(|| linear::build(name, node))
        .or_else(|| array_feature_extractor::build(name, node))
        .or_else(|| svm::build(name, node))
}

/// Calls `visit` with each element as a 32-bit float; an error for text.
fn each_f32(tensor: &Tensor, mut visit: impl FnMut(f32)) -> Result<(), String> {
    match tensor.data() {
        Data::F32(values) => values.iter().for_each(|&value| visit(value)),
        Data::F64(values) => values.iter().for_each(|&value| visit(value as f32)),
        Data::I64(values) => values.iter().for_each(|&value| visit(value as f32)),
        Data::I32(values) => values.iter().for_each(|&value| visit(value as f32)),
        Data::Bool(values) => values.iter().for_each(|&value| visit(f32::from(u8::from(value)))),
        Data::Text(_) => return Err("expected numbers, got BYTES".into()),
    }
    Ok(())
}
