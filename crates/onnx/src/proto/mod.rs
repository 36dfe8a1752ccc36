//! The messages of an ONNX file, as far as inference needs them.
//!
//! Tags and types are those of `onnx-ml.proto`; fields not named here are
//! skipped when reading. Bytes are shared with the file's buffer, not copied.

mod decode;
mod messages;
#[cfg(test)]
mod tests;

pub use decode::{decode, encode};
pub use messages::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, GraphProto, MapType, ModelProto, NodeProto,
    OperatorSetId, SequenceType, StringEntry, TensorProto, TensorShape, TensorType, TypeProto, TypeValue,
    ValueInfoProto,
};
