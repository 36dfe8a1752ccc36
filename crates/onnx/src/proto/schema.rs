//! The messages of a model file and their fields, as [`validate`](super::validate) knows them.
//!
//! The definition is `proto/onnx.proto`. A field that is missing here is unknown, and a file that has it is refused.

/// The kinds of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    ElementType,
    MapType,
    Shape,
    Annotation,
    DeviceConfiguration,
    Sharding,
    ShardedDimension,
    /// A message of two fields without further messages.
    Pair,
    /// A message of three fields without further messages.
    Triple,
}

/// The content of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// One number.
    Number,
    /// Integers of variable length.
    Integers,
    /// Floats of 4 or 8 bytes.
    Floats,
    /// A text, or bytes.
    Text,
    /// A message.
    Message(Message),
    /// Any content without messages.
    Leaf,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// Its content.
    pub(super) content: Content,
    /// Whether a message may have several of it.
    pub(super) is_repeated: bool,
}

const fn one(name: &'static str, content: Content) -> Field {
    Field { name, content, is_repeated: false }
}

const fn many(name: &'static str, content: Content) -> Field {
    Field { name, content, is_repeated: true }
}

/// The greatest number of a known field.
pub(super) const FIELD_NUMBER_MAX: usize = 26;

impl Message {
    /// The field of a number; `None` when it is unknown.
    pub(super) fn field(self, number: u64) -> Option<Field> {
        use Content::{Floats, Integers, Number, Text};
        let message = Content::Message;
        Some(match (self, number) {
            (Self::Model, 1) => one("ir_version", Number),
            (Self::Model, 2) => one("producer_name", Text),
            (Self::Model, 3) => one("producer_version", Text),
            (Self::Model, 4) => one("domain", Text),
            (Self::Model, 5) => one("model_version", Number),
            (Self::Model, 6) => one("doc_string", Text),
            (Self::Model, 7) => one("graph", message(Self::Graph)),
            (Self::Model, 8) => many("opset_import", message(Self::Pair)),
            (Self::Model, 14) => many("metadata_props", message(Self::Pair)),
            (Self::Model, 20) => many("training_info", message(Self::Training)),
            (Self::Model, 25) => many("functions", message(Self::Function)),
            (Self::Model, 26) => many("configuration", message(Self::Triple)),

            (Self::Training, 1) => one("initialization", message(Self::Graph)),
            (Self::Training, 2) => one("algorithm", message(Self::Graph)),
            (Self::Training, 3) => many("initialization_binding", message(Self::Pair)),
            (Self::Training, 4) => many("update_binding", message(Self::Pair)),

            (Self::Function, 1) => one("name", Text),
            (Self::Function, 4) => many("input", Text),
            (Self::Function, 5) => many("output", Text),
            (Self::Function, 6) => many("attribute", Text),
            (Self::Function, 7) => many("node", message(Self::Node)),
            (Self::Function, 8) => one("doc_string", Text),
            (Self::Function, 9) => many("opset_import", message(Self::Pair)),
            (Self::Function, 10) => one("domain", Text),
            (Self::Function, 11) => many("attribute_proto", message(Self::Attribute)),
            (Self::Function, 12) => many("value_info", message(Self::ValueInfo)),
            (Self::Function, 13) => one("overload", Text),
            (Self::Function, 14) => many("metadata_props", message(Self::Pair)),

            (Self::Graph, 1) => many("node", message(Self::Node)),
            (Self::Graph, 2) => one("name", Text),
            (Self::Graph, 5) => many("initializer", message(Self::Tensor)),
            (Self::Graph, 10) => one("doc_string", Text),
            (Self::Graph, 11) => many("input", message(Self::ValueInfo)),
            (Self::Graph, 12) => many("output", message(Self::ValueInfo)),
            (Self::Graph, 13) => many("value_info", message(Self::ValueInfo)),
            (Self::Graph, 14) => many("quantization_annotation", message(Self::Annotation)),
            (Self::Graph, 15) => many("sparse_initializer", message(Self::SparseTensor)),
            (Self::Graph, 16) => many("metadata_props", message(Self::Pair)),

            (Self::Node, 1) => many("input", Text),
            (Self::Node, 2) => many("output", Text),
            (Self::Node, 3) => one("name", Text),
            (Self::Node, 4) => one("op_type", Text),
            (Self::Node, 5) => many("attribute", message(Self::Attribute)),
            (Self::Node, 6) => one("doc_string", Text),
            (Self::Node, 7) => one("domain", Text),
            (Self::Node, 8) => one("overload", Text),
            (Self::Node, 9) => many("metadata_props", message(Self::Pair)),
            (Self::Node, 10) => many("device_configurations", message(Self::DeviceConfiguration)),

            (Self::Attribute, 1) => one("name", Text),
            (Self::Attribute, 2) => one("f", Number),
            (Self::Attribute, 3) => one("i", Number),
            (Self::Attribute, 4) => one("s", Text),
            (Self::Attribute, 5) => one("t", message(Self::Tensor)),
            (Self::Attribute, 6) => one("g", message(Self::Graph)),
            (Self::Attribute, 7) => many("floats", Floats),
            (Self::Attribute, 8) => many("ints", Integers),
            (Self::Attribute, 9) => many("strings", Text),
            (Self::Attribute, 10) => many("tensors", message(Self::Tensor)),
            (Self::Attribute, 11) => many("graphs", message(Self::Graph)),
            (Self::Attribute, 13) => one("doc_string", Text),
            (Self::Attribute, 14) => one("tp", message(Self::Type)),
            (Self::Attribute, 15) => many("type_protos", message(Self::Type)),
            (Self::Attribute, 20) => one("type", Number),
            (Self::Attribute, 21) => one("ref_attr_name", Text),
            (Self::Attribute, 22) => one("sparse_tensor", message(Self::SparseTensor)),
            (Self::Attribute, 23) => many("sparse_tensors", message(Self::SparseTensor)),

            (Self::Tensor, 1) => many("dims", Integers),
            (Self::Tensor, 2) => one("data_type", Number),
            (Self::Tensor, 3) => one("segment", message(Self::Pair)),
            (Self::Tensor, 4) => many("float_data", Floats),
            (Self::Tensor, 5) => many("int32_data", Integers),
            (Self::Tensor, 6) => many("string_data", Text),
            (Self::Tensor, 7) => many("int64_data", Integers),
            (Self::Tensor, 8) => one("name", Text),
            (Self::Tensor, 9) => one("raw_data", Text),
            (Self::Tensor, 10) => many("double_data", Floats),
            (Self::Tensor, 11) => many("uint64_data", Integers),
            (Self::Tensor, 12) => one("doc_string", Text),
            (Self::Tensor, 13) => many("external_data", message(Self::Pair)),
            (Self::Tensor, 14) => one("data_location", Number),
            (Self::Tensor, 16) => many("metadata_props", message(Self::Pair)),

            (Self::SparseTensor, 1) => one("values", message(Self::Tensor)),
            (Self::SparseTensor, 2) => one("indices", message(Self::Tensor)),
            (Self::SparseTensor, 3) => many("dims", Integers),

            (Self::ValueInfo, 1) => one("name", Text),
            (Self::ValueInfo, 2) => one("type", message(Self::Type)),
            (Self::ValueInfo, 3) => one("doc_string", Text),
            (Self::ValueInfo, 4) => many("metadata_props", message(Self::Pair)),

            (Self::Type, 1) => one("tensor_type", message(Self::TensorType)),
            (Self::Type, 4) => one("sequence_type", message(Self::ElementType)),
            (Self::Type, 5) => one("map_type", message(Self::MapType)),
            (Self::Type, 6) => one("denotation", Text),
            (Self::Type, 7) => one("opaque_type", message(Self::Pair)),
            (Self::Type, 8) => one("sparse_tensor_type", message(Self::TensorType)),
            (Self::Type, 9) => one("optional_type", message(Self::ElementType)),
            (Self::TensorType, 1) => one("elem_type", Number),
            (Self::TensorType, 2) => one("shape", message(Self::Shape)),
            (Self::ElementType, 1) => one("elem_type", message(Self::Type)),
            (Self::MapType, 1) => one("key_type", Number),
            (Self::MapType, 2) => one("value_type", message(Self::Type)),
            (Self::Shape, 1) => many("dim", message(Self::Triple)),

            (Self::Annotation, 1) => one("tensor_name", Text),
            (Self::Annotation, 2) => many("quant_parameter_tensor_names", message(Self::Pair)),
            (Self::DeviceConfiguration, 1) => one("configuration_id", Text),
            (Self::DeviceConfiguration, 2) => many("sharding_spec", message(Self::Sharding)),
            (Self::DeviceConfiguration, 3) => one("pipeline_stage", Number),
            (Self::Sharding, 1) => one("tensor_name", Text),
            (Self::Sharding, 2) => many("device", Integers),
            (Self::Sharding, 3) => many("index_to_device_group_map", message(Self::Pair)),
            (Self::Sharding, 4) => many("sharded_dim", message(Self::ShardedDimension)),
            (Self::ShardedDimension, 1) => one("axis", Number),
            (Self::ShardedDimension, 2) => many("simple_sharding", message(Self::Triple)),

            (Self::Pair, 1..=2) | (Self::Triple, 1..=3) => many("value", Content::Leaf),
            _ => return None,
        })
    }
}
