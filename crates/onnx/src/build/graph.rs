//! A graph under construction.

use crate::proto::{
    self, AttributeProto, DataType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetId,
    StringEntry, TensorShape, TensorType, TypeProto, TypeValue, ValueInfoProto,
};

/// The domain of the classical operators. `ai.onnx` itself is written as the empty text.
pub const ML: &str = "ai.onnx.ml";

/// The name written into the file as the tool that made it.
const PRODUCER: &str = "perennial";

/// Builds one graph; nodes are added in the order they run.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    metadata: Vec<StringEntry>,
    made: usize,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.to_owned(), ..GraphProto::default() }, ..Self::default() }
    }

    /// Adds an input column of numbers, float32 of shape `[N, 1]`; missing is NaN.
    pub fn input_number(&mut self, name: &str) {
        self.input(name, DataType::Float, &[-1, 1]);
    }

    /// Adds an input column of text, shape `[N, 1]`; missing is the empty text.
    pub fn input_text(&mut self, name: &str) {
        self.input(name, DataType::String, &[-1, 1]);
    }

    /// Adds an input; -1 is a free dimension.
    pub fn input(&mut self, name: &str, kind: DataType, shape: &[i64]) {
        self.graph.input.push(value_info(name, kind, shape));
    }

    /// Adds an output; -1 is a free dimension.
    pub fn output(&mut self, name: &str, kind: DataType, shape: &[i64]) {
        self.graph.output.push(value_info(name, kind, shape));
    }

    /// Adds a key and a value that are kept in the file beside the graph.
    pub fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(StringEntry { key: key.to_owned(), value: value.to_owned() });
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
            name,
            op_type: operator.to_owned(),
            attribute: attributes,
            domain: domain.to_owned(),
        });
    }

    /// Adds a node with one output and returns the output's name, made up.
    pub fn apply(&mut self, operator: &str, domain: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.fresh(operator);
        self.node(operator, domain, inputs, &[&output], attributes);
        output
    }

    /// A name not given out before, and no input's; declare the inputs first.
    pub fn fresh(&mut self, stem: &str) -> String {
        loop {
            self.made += 1;
            let name = format!("{}_{}", stem.to_lowercase(), self.made);
            if self.graph.input.iter().all(|input| input.name != name) {
                return name;
            }
        }
    }

    /// Gives a node's output another name, such as that of the model's output,
    /// everywhere it stands. `to` must be the name of nothing else.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.graph.node {
            for name in node.input.iter_mut().chain(&mut node.output).filter(|name| *name == from) {
                to.clone_into(name);
            }
        }
    }

    /// Sets columns side by side: `[N, a]`, `[N, b]`, … become `[N, a + b + …]`.
    pub fn concat(&mut self, inputs: &[&str]) -> String {
        self.apply("Concat", "", inputs, vec![super::attribute::int("axis", 1)])
    }

    /// Turns elements into another type.
    pub fn cast(&mut self, input: &str, kind: DataType) -> String {
        self.apply("Cast", "", &[input], vec![super::attribute::int("to", kind as i64)])
    }

    /// The bytes of the file. `opset` is the version of `ai.onnx` (17 is read
    /// everywhere), `ml_opset` that of `ai.onnx.ml` (3; 5 for `TreeEnsemble`).
    pub fn finish(self, opset: i64, ml_opset: i64) -> Vec<u8> {
        let ir_version = if ml_opset >= 5 || opset >= 21 { 10 } else { 8 };
        proto::encode(&ModelProto {
            ir_version,
            producer_name: PRODUCER.to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: vec![
                OperatorSetId { domain: String::new(), version: opset },
                OperatorSetId { domain: ML.to_owned(), version: ml_opset },
            ],
            metadata_props: self.metadata,
            ..ModelProto::default()
        })
    }
}

fn value_info(name: &str, kind: DataType, shape: &[i64]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .enumerate()
        .map(|(axis, &length)| Dimension {
            value: Some(match length {
                0.. => DimensionValue::Value(length),
                _ if axis == 0 => DimensionValue::Param("N".to_owned()),
                _ => DimensionValue::Param(format!("{name}_{axis}")),
            }),
        })
        .collect();
    let tensor = TensorType { elem_type: kind as i32, shape: Some(TensorShape { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}
