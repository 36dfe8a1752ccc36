//! Builds ONNX models: a graph builder with the classical operators.

pub mod attribute;
mod classical;
mod graph;
#[cfg(test)]
mod tests;
mod trees;

pub use classical::Classes;
pub use graph::{GraphBuilder, ML};
pub use trees::{PostTransform, SplitMode, Tree, TreeNode, Trees};
