//! Every bound this crate puts on a model file and on a run.

/// Bytes of a model file.
pub const MODEL_BYTES_MAX: u64 = 1 << 30;
/// Nodes of a graph.
pub const GRAPH_NODES_MAX: u64 = 20_000;
/// Inputs, outputs and initializers of a graph, each.
pub const GRAPH_VALUES_MAX: u64 = 20_000;
/// Attributes of all nodes together.
pub const ATTRIBUTES_MAX: u64 = 400_000;
/// Elements of one tensor, in a file or during a run.
pub const TENSOR_ELEMENTS_MAX: u64 = 1 << 26;
/// Dimensions of one tensor.
pub const TENSOR_RANK_MAX: usize = 8;
/// Bytes of one text value in a model file.
pub const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Nodes of all trees of one ensemble.
pub const TREE_NODES_MAX: u64 = 1 << 26;
/// Levels of one tree.
pub const TREE_DEPTH_MAX: u64 = 4_096;
/// Features a tree may ask for.
pub const TREE_FEATURES_MAX: u64 = 1 << 20;
/// Classes or targets of one model.
pub const TARGETS_MAX: u64 = 1 << 16;
/// Rows of one run.
pub const ROWS_MAX: u64 = 1 << 24;
