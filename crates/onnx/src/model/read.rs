//! From the messages of a file to a [`Model`].

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{Plan, Source, Step};
use super::{Model, Value};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::node::{Node, Refusal};
use crate::proto::{DataType, DimensionValue, GraphProto, ModelProto, NodeProto, TypeValue, ValueInfoProto};
use crate::tensor::{Data, Kind, Tensor};
use crate::{constant, operator};

/// What is known while the nodes are read.
struct Reader<'a> {
    constants: Vec<Tensor>,
    known: HashMap<&'a str, Source>,
    slots: usize,
    lacking: Vec<String>,
    labels: Option<Labels>,
    /// Labels by the name of the `ZipMap` output they belong to.
    zipped: HashMap<&'a str, Labels>,
}

pub(super) fn read(model: &ModelProto) -> Result<Model> {
    let graph = model.graph.as_ref().ok_or_else(|| Error::Decode("it has no graph".into()))?;
    let mut reader = Reader {
        constants: Vec::new(),
        known: HashMap::new(),
        slots: 0,
        lacking: Vec::new(),
        labels: None,
        zipped: HashMap::new(),
    };
    for tensor in &graph.initializer {
        match constant::read(tensor) {
            Ok(value) => reader.constant(&tensor.name, value),
            Err(Error::Unsupported { operators }) => {
                reader.lacking.extend(operators);
                reader.constant(&tensor.name, Tensor::default());
            }
            Err(error) => return Err(error),
        }
    }
    let (mut inputs, mut input_slots) = (Vec::new(), Vec::new());
    for input in &graph.input {
        // Files of IR version 3 list their constants among the inputs.
        if reader.known.contains_key(input.name.as_str()) {
            continue;
        }
        if let Some(value) = reader.value(input) {
            inputs.push(value);
        }
        input_slots.push(reader.slots);
        reader.slot(&input.name)?;
    }
    let wide = is_wide(graph);
    let mut steps = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        reader.node(node, version(model, &node.domain), wide, &mut steps)?;
    }
    let (mut outputs, mut output_sources) = (Vec::new(), Vec::new());
    for output in &graph.output {
        let source = reader.known.get(output.name.as_str());
        let source = source.ok_or_else(|| Error::Invalid(format!("no node makes the output `{}`", output.name)))?;
        output_sources.push(*source);
        if let Some(value) = reader.value(output) {
            outputs.push(value);
        }
    }
    if !reader.lacking.is_empty() {
        reader.lacking.sort();
        reader.lacking.dedup();
        return Err(Error::Unsupported { operators: reader.lacking });
    }
    let plan = Plan {
        steps,
        constants: Arc::new(reader.constants),
        slots: reader.slots,
        inputs: input_slots,
        outputs: output_sources,
    };
    Ok(Model { inputs, outputs, labels: reader.labels, plan })
}

fn version(model: &ModelProto, domain: &str) -> i64 {
    let canonical = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_owned() };
    let sets = model.opset_import.iter().filter(|set| canonical(&set.domain) == canonical(domain));
    // Exports that leave a set out mean a version old enough to be everywhere.
    sets.map(|set| set.version).max().unwrap_or(if domain == "ai.onnx.ml" { 1 } else { 13 })
}

/// Whether 64-bit floats appear anywhere.
fn is_wide(graph: &GraphProto) -> bool {
    let double = DataType::Double as i32;
    let is_double = |value: &ValueInfoProto| match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => tensor.elem_type == double,
        _ => false,
    };
    let casts = |node: &NodeProto| {
        node.attribute.iter().any(|attribute| {
            (attribute.name == "to" && attribute.i == Some(double.into()))
                || attribute
                    .t
                    .as_ref()
                    .is_some_and(|tensor| tensor.data_type == double && !attribute.name.ends_with("_as_tensor"))
        })
    };
    graph.input.iter().any(is_double)
        || graph.initializer.iter().any(|tensor| tensor.data_type == double)
        || graph.node.iter().any(casts)
}

impl<'a> Reader<'a> {
    fn constant(&mut self, name: &'a str, value: Tensor) {
        self.constants.push(value);
        self.known.insert(name, Source::Constant(self.constants.len() - 1));
    }

    /// A new slot for the value called `name`.
    fn slot(&mut self, name: &'a str) -> Result<usize> {
        let slot = self.slots;
        self.slots += 1;
        if !name.is_empty() && self.known.insert(name, Source::Slot(slot)).is_some() {
            return Err(Error::Invalid(format!("the value `{name}` is made twice")));
        }
        Ok(slot)
    }

    fn node(&mut self, proto: &'a NodeProto, version: i64, wide: bool, steps: &mut Vec<Step>) -> Result<()> {
        let node_name = if proto.name.is_empty() { proto.output.first() } else { Some(&proto.name) };
        let node_name = node_name.cloned().unwrap_or_default();
        let invalid = |message: String| Error::Invalid(format!("node `{node_name}` ({}): {message}", proto.op_type));
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(match self.known.get(name.as_str()) {
                Some(source) => *source,
                None if name.is_empty() => Source::Nowhere,
                None => return Err(invalid(format!("nothing before it makes `{name}`"))),
            });
        }
        let constants = inputs.iter().map(|source| match source {
            Source::Constant(at) => self.constants.get(*at),
            _ => None,
        });
        let node = Node { proto, version, constants: constants.collect(), wide };
        let made = if proto.op_type == "Constant" && matches!(proto.domain.as_str(), "" | "ai.onnx") {
            match constant_node(&node) {
                Ok(value) => {
                    let Some(name) = proto.output.first() else { return Ok(()) };
                    self.constant(name, value);
                    return Ok(());
                }
                Err(refusal) => Err(refusal),
            }
        } else {
            operator::make(&node)
        };
        let labels = classes(&node);
        let operator = match made {
            Ok(operator) => Some(operator),
            Err(Refusal::Invalid(message)) => return Err(invalid(message)),
            Err(Refusal::Unsupported(what)) => {
                let domain = if proto.domain.is_empty() { "ai.onnx" } else { &proto.domain };
                let what = if what.is_empty() { what } else { format!(" ({what})") };
                self.lacking.push(format!("{domain}.{}{what}", proto.op_type));
                None
            }
        };
        if let Some(labels) = labels {
            if proto.op_type == "ZipMap"
                && let Some(output) = proto.output.first()
            {
                self.zipped.insert(output, labels.clone());
            }
            self.labels = Some(labels);
        }
        let outputs = proto.output.iter().map(|name| self.slot(name)).collect::<Result<_>>()?;
        if let Some(operator) = operator {
            steps.push(Step { operator, inputs, outputs, node: node_name, name: proto.op_type.clone() });
        }
        Ok(())
    }

    /// An input or output; types that are not taken are noted among what is lacking.
    fn value(&mut self, info: &ValueInfoProto) -> Option<Value> {
        let labels = self.zipped.get(info.name.as_str()).cloned();
        let known = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let (kind, shape) = match known {
            Some(TypeValue::Tensor(tensor)) => {
                let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
                let length = |value: &Option<DimensionValue>| match value {
                    Some(DimensionValue::Value(length)) if *length > 0 => *length,
                    _ => -1,
                };
                (Kind::of(tensor.elem_type), dims.map(|dim| length(&dim.value)).collect())
            }
            _ => match &labels {
                Some(labels) => (Some(Kind::F32), vec![-1, labels.len() as i64]),
                None => (None, Vec::new()),
            },
        };
        if kind.is_none() {
            self.lacking.push(format!("the type of `{}`", info.name));
        }
        Some(Value { name: info.name.clone(), kind: kind?, shape, labels })
    }
}

/// The value of a `Constant` node.
fn constant_node(node: &Node<'_>) -> Result<Tensor, Refusal> {
    if let Some(tensor) = node.tensor("value")? {
        return Ok(tensor);
    }
    let (shape, data) = match node.proto.attribute.first() {
        Some(attribute) => match (attribute.name.as_str(), attribute.f, attribute.i) {
            ("value_float", Some(value), _) => (vec![], Data::F32(vec![value])),
            ("value_int", _, Some(value)) => (vec![], Data::I64(vec![value])),
            ("value_floats", ..) => (vec![attribute.floats.len()], Data::F32(attribute.floats.clone())),
            ("value_ints", ..) => (vec![attribute.ints.len()], Data::I64(attribute.ints.clone())),
            ("value_strings", ..) => {
                let texts = node.texts("value_strings")?;
                (vec![texts.len()], Data::Text(texts))
            }
            (other, ..) => return Err(Refusal::Unsupported(other.to_owned())),
        },
        None => return Err("it has no value".into()),
    };
    Tensor::new(shape, data).ok_or_else(|| "its shape does not fit".into())
}

/// The classes a node knows: from its labels, or as the table that the position
/// of the highest score is looked up in.
fn classes(node: &Node<'_>) -> Option<Labels> {
    if node.proto.domain != "ai.onnx.ml" {
        return None;
    }
    if node.proto.op_type == "ArrayFeatureExtractor" {
        let table = (*node.constants.first()?)?;
        if table.shape() != [table.data().len()] {
            return None;
        }
        return match table.data() {
            Data::I64(labels) => Some(Labels::Numbers(labels.clone())),
            Data::I32(labels) => Some(Labels::Numbers(labels.iter().map(|&label| label.into()).collect())),
            Data::Text(labels) => Some(Labels::Texts(labels.clone())),
            _ => None,
        };
    }
    Labels::read(node).ok()
}
