//! The operators the evaluator has.

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

use crate::node::{Node, Refusal};
use crate::tensor::Tensor;

/// The values an operator reads, by position.
pub(crate) trait Inputs {
    /// The input at `position`; `None` where an optional one is left out.
    fn get(&self, position: usize) -> Option<&Tensor>;

    /// How many positions there are.
    fn len(&self) -> usize;

    /// The input at `position`, which the operator cannot do without.
    fn need(&self, position: usize) -> Result<&Tensor, String> {
        self.get(position).ok_or_else(|| format!("input {position} is not given"))
    }
}

/// One node, ready to run. Runs may come from many threads at once.
pub(crate) trait Operator: Debug + Send + Sync {
    /// Fills `outputs` (as many as the node has) from `inputs`.
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String>;
}

pub(crate) type Made = Result<Arc<dyn Operator>, Refusal>;

/// Makes the operator of a node.
pub(crate) fn make(node: &Node<'_>) -> Made {
    let name = node.proto.op_type.as_str();
    let made = match node.proto.domain.as_str() {
        "" | "ai.onnx" => activation::make(name, node)
            .or_else(|| elementwise::make(name, node))
            .or_else(|| shape::make(name, node))
            .or_else(|| select::make(name, node))
            .or_else(|| matrix::make(name, node))
            .or_else(|| reduce::make(name, node))
            .or_else(|| cast::make(name, node)),
        "ai.onnx.ml" => classical::make(name, node),
        _ => None,
    };
    made.unwrap_or_else(|| Err(Refusal::Unsupported(String::new())))
}

/// Resolves an axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let resolved = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(resolved)
        .ok()
        .filter(|&resolved| resolved < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor with {rank} dimensions"))
}

/// The whole numbers of a tensor of int64 or int32.
pub(crate) fn whole_numbers(tensor: &Tensor) -> Result<Vec<i64>, String> {
    match tensor.data() {
        crate::tensor::Data::I64(values) => Ok(values.clone()),
        crate::tensor::Data::I32(values) => Ok(values.iter().map(|&value| i64::from(value)).collect()),
        other => Err(format!("expected whole numbers, got {}", other.kind())),
    }
}

/// The first output.
pub(crate) fn only(outputs: &mut [Tensor]) -> Result<&mut Tensor, String> {
    outputs.first_mut().ok_or_else(|| "the node names no output".to_owned())
}
