//! The operators of `ai.onnx.ml` but for the trees.

mod encode;
mod linear;
mod pick;
mod scale;
mod svm;

use super::Made;
use crate::node::Node;
use crate::tensor::{Data, Tensor};

pub(super) fn make(name: &str, node: &Node<'_>) -> Option<Made> {
    crate::trees::make(name, node)
        .or_else(|| encode::make(name, node))
        .or_else(|| scale::make(name, node))
        .or_else(|| linear::make(name, node))
        .or_else(|| pick::make(name, node))
        .or_else(|| svm::make(name, node))
}

/// Calls `visit` with each element as float32; text is refused.
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
