//! The operators of the evaluator.
//!
//! The tensor operators of `ai.onnx` are frozen: no new ones are added, because ONNX
//! Runtime evaluates all other models. Faults in the existing ones are fixed.

mod activation;
mod broadcast;
mod cast;
mod classical;
mod elementwise;
mod matrix;
mod reduce;
mod select;
mod shape;

use std::fmt::Debug;
use std::sync::Arc;

use crate::node::{BuildError, Node};
use crate::tensor::Tensor;

/// The inputs of an operator, by position.
pub(crate) trait Inputs {
    /// The input at `position`; `None` if it is optional and absent.
    fn get(&self, position: usize) -> Option<&Tensor>;

    /// Number of positions.
    fn len(&self) -> usize;

    /// The input at `position`; an error if it is absent.
    fn required(&self, position: usize) -> Result<&Tensor, String> {
        self.get(position).ok_or_else(|| format!("input {position} is missing"))
    }

    /// Adds operations to those of the evaluation; an error beyond
    /// [`OPERATIONS_MAX`](crate::limits::OPERATIONS_MAX). An operator calls it before it does more work than its inputs
    /// and outputs have elements.
    fn charge(&self, operations: usize) -> Result<(), String>;
}

/// An operator built from a node, which several threads may run at once.
pub(crate) trait Operator: Debug + Send + Sync {
    /// Computes all `outputs` of the node from `inputs`.
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String>;
}

pub(crate) type BuildResult = Result<Arc<dyn Operator>, BuildError>;

/// Builds the operator of a node.
pub(crate) fn build(node: &Node<'_>) -> BuildResult {
    let name = node.proto.op_type();
    let operator = match node.proto.domain() {
        "" | "ai.onnx" => activation::build(name, node)
            .or_else(|| elementwise::build(name, node))
            .or_else(|| shape::build(name, node))
            .or_else(|| select::build(name, node))
            .or_else(|| matrix::build(name, node))
            .or_else(|| reduce::build(name, node))
            .or_else(|| cast::build(name, node)),
        "ai.onnx.ml" => classical::build(name, node),
        _ => None,
    };
    operator.unwrap_or_else(|| Err(BuildError::Unsupported(String::new())))
}

/// Resolves an axis, which counts from the last one if negative.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, String> {
    let resolved = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(resolved)
        .ok()
        .filter(|&resolved| resolved < rank)
        .ok_or_else(|| format!("axis {axis} is out of range for a tensor with {rank} dimensions"))
}

/// The elements of an integer tensor.
pub(crate) fn integers(tensor: &Tensor) -> Result<Vec<i64>, String> {
    match tensor.data() {
        crate::tensor::Data::I64(values) => Ok(values.clone()),
        crate::tensor::Data::I32(values) => Ok(values.iter().map(|&value| i64::from(value)).collect()),
        other => Err(format!("expected integers, got {}", other.element_type())),
    }
}

/// The first output.
pub(crate) fn first_output(outputs: &mut [Tensor]) -> Result<&mut Tensor, String> {
    outputs.first_mut().ok_or_else(|| "the node has no output".to_owned())
}
