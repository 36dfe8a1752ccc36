//! The graph builder.

use crate::proto::{
    self, AttributeProto, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// The domain of the classical operators. The domain `ai.onnx` is written as the empty text.
pub const ML: &str = "ai.onnx.ml";

/// The producer name written into the file.
const PRODUCER: &str = "perennial";

/// Builds a graph; nodes are added in the order of evaluation.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    metadata: Vec<StringStringEntryProto>,
    names_given: usize,
}

impl GraphBuilder {
    /// Starts an empty graph.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: Some(name.to_owned()), ..GraphProto::default() }, ..Self::default() }
    }

    /// Adds a numeric input column, float32 of shape `[N, 1]`; NaN represents a missing value.
    pub fn input_number(&mut self, name: &str) {
        self.input(name, DataType::Float, &[-1, 1]);
    }

    /// Adds a text input column of shape `[N, 1]`; the empty text represents a missing value.
    pub fn input_text(&mut self, name: &str) {
        self.input(name, DataType::String, &[-1, 1]);
    }

    /// Adds an input; -1 is a dimension of any length.
    pub fn input(&mut self, name: &str, kind: DataType, shape: &[i64]) {
        self.graph.input.push(value_info(name, kind, shape));
    }

    /// Adds an output; -1 is a dimension of any length.
    pub fn output(&mut self, name: &str, kind: DataType, shape: &[i64]) {
        self.graph.output.push(value_info(name, kind, shape));
    }

    /// Adds a tensor that nodes read by its name.
    pub fn initializer(&mut self, tensor: TensorProto) {
        self.graph.initializer.push(tensor);
    }

    /// Adds a metadata entry to the model.
    pub fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) });
    }

    /// Adds a node with named outputs; `domain` is empty or [`ML`].
    pub fn node(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        let name = format!("{operator}_{}", self.graph.node.len());
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: outputs.iter().map(|&output| output.to_owned()).collect(),
            name: Some(name),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
            domain: Some(domain.to_owned()).filter(|domain| !domain.is_empty()),
            ..NodeProto::default()
        });
    }

    /// Adds a node with one output, and returns the generated name of the output.
    pub fn apply(&mut self, operator: &str, domain: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.unique_name(operator);
        self.node(operator, domain, inputs, &[&output], attributes);
        output
    }

    /// Generates a name that no earlier call has returned and no input has; declare the inputs first.
    pub fn unique_name(&mut self, stem: &str) -> String {
        loop {
            self.names_given += 1;
            let name = format!("{}_{}", stem.to_lowercase(), self.names_given);
            if self.graph.input.iter().all(|input| input.name() != name) {
                return name;
            }
        }
    }

    /// Renames the output of a node, for example to the name of the model's output,
    /// wherever it is used. `to` must not be the name of another value.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.graph.node {
            for name in node.input.iter_mut().chain(&mut node.output).filter(|name| *name == from) {
                to.clone_into(name);
            }
        }
    }

    /// `Concat`: concatenates columns `[N, a]`, `[N, b]`, … to `[N, a + b + …]`.
    pub fn concat(&mut self, inputs: &[&str]) -> String {
        self.apply("Concat", "", inputs, vec![super::attribute::int("axis", 1)])
    }

    /// `Cast`: converts the elements to another type.
    pub fn cast(&mut self, input: &str, kind: DataType) -> String {
        self.apply("Cast", "", &[input], vec![super::attribute::int("to", kind as i64)])
    }

    /// The message of the graph, without metadata.
    pub(super) fn into_graph(self) -> GraphProto {
        self.graph
    }

    /// Returns the bytes of the model file. `opset` is the version of `ai.onnx` (17 is
    /// widely supported), `ml_opset` that of `ai.onnx.ml` (3, or 5 for `TreeEnsemble`).
    pub fn finish(self, opset: i64, ml_opset: i64) -> Vec<u8> {
        let ir_version = if ml_opset >= 5 || opset >= 21 { 10 } else { 8 };
        proto::encode(&ModelProto {
            ir_version: Some(ir_version),
            producer_name: Some(PRODUCER.to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.graph),
            opset_import: vec![
                OperatorSetIdProto { domain: None, version: Some(opset) },
                OperatorSetIdProto { domain: Some(ML.to_owned()), version: Some(ml_opset) },
            ],
            metadata_props: self.metadata,
            ..ModelProto::default()
        })
    }
}

fn value_info(name: &str, kind: DataType, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::Dimension;
    use tensor_shape_proto::dimension::Value;

    let dim = shape.iter().enumerate().map(|(axis, &length)| {
        let value = match length {
            0.. => Value::DimValue(length),
            _ if axis == 0 => Value::DimParam("N".to_owned()),
            _ => Value::DimParam(format!("{name}_{axis}")),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor = type_proto::Tensor { elem_type: Some(kind as i32), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..ValueInfoProto::default() }
}
