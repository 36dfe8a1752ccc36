//! Limits on model files and on their evaluation.

/// Maximum size of a model file, in bytes.
pub const MODEL_BYTES_MAX: u64 = 1 << 30;
/// Maximum number of nodes of all graphs of a model together.
pub const GRAPH_NODES_MAX: u64 = 20_000;
/// Maximum number of inputs, outputs, tensors and graphs of a model together.
pub const GRAPH_VALUES_MAX: u64 = 20_000;
/// Maximum number of attributes of all nodes together, including the names of inputs and outputs.
pub const ATTRIBUTES_MAX: u64 = 400_000;
/// Maximum number of types, dimensions and metadata entries of a model together.
pub const ENTRIES_MAX: u64 = 1 << 20;
/// Maximum number of elements of a tensor, in a file or during evaluation.
pub const TENSOR_ELEMENTS_MAX: u64 = 1 << 26;
/// Maximum number of elements of all tensors in a file together.
pub const TENSORS_ELEMENTS_MAX: u64 = 1 << 30;
/// Memory that a decoded model may take whatever the size of its file, in bytes.
pub const DECODED_BYTES_MIN: u64 = 1 << 26;
/// Memory that a decoded model may take for each byte of its file in addition to [`DECODED_BYTES_MIN`], in bytes.
pub const DECODED_BYTES_PER_BYTE_MAX: u64 = 8;
/// Maximum number of dimensions of a tensor.
pub const TENSOR_RANK_MAX: usize = 8;
/// Maximum size of a text value in a model file, in bytes.
pub const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Maximum number of nodes of all trees of an ensemble together.
pub const TREE_NODES_MAX: u64 = 1 << 26;
/// Maximum number of trees of an ensemble.
pub const TREES_MAX: u64 = 1 << 20;
/// Maximum depth of a tree.
pub const TREE_DEPTH_MAX: u64 = 4_096;
/// Maximum number of features of a tree ensemble.
pub const TREE_FEATURES_MAX: u64 = 1 << 20;
/// Maximum number of classes or targets of a model.
pub const TARGETS_MAX: u64 = 1 << 16;
/// Maximum memory of all tensors that one evaluation computes, in bytes. A prediction evaluates its rows in chunks
/// that fit.
pub const RUN_BYTES_MAX: u64 = 1 << 28;
/// Maximum number of operations of one prediction, whatever its rows: elements that are read and computed,
/// multiplications of matrix products, steps down trees.
pub const OPERATIONS_MAX: u64 = 1 << 33;
/// Operations that a prediction may take for each of its rows in addition to [`OPERATIONS_MAX`].
pub const ROW_OPERATIONS_MAX: u64 = 1 << 20;
/// As [`OPERATIONS_MAX`], for a prediction on a thread that has other work, such as requests of others: some tens of
/// milliseconds.
pub const INLINE_OPERATIONS_MAX: u64 = 1 << 26;
/// As [`ROW_OPERATIONS_MAX`], for a prediction on a thread that has other work.
pub const INLINE_ROW_OPERATIONS_MAX: u64 = 1 << 18;
/// Maximum number of rows of one evaluation.
pub const ROWS_MAX: u64 = 1 << 24;
