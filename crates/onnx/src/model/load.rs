//! Builds a [`Model`] from the messages of a file.

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{Plan, Source, Step};
use super::{ClassLabels, Model, Value};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::limits;
use crate::node::{BuildError, Node};
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{DataType, GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use crate::tensor::{Data, ElementType, Tensor};
use crate::{constant, operator};

/// The state while the nodes of a graph are built.
struct Loader<'a> {
    constants: Vec<Tensor>,
    sources: HashMap<&'a str, Source>,
    slots: usize,
    unsupported: Vec<String>,
    labels: Option<Labels>,
    /// Class labels by the name of the `ZipMap` output that they belong to.
    zip_map_labels: HashMap<&'a str, Labels>,
}

/// Builds a model.
pub(super) fn load(model: &ModelProto) -> Result<Model> {
    let (mut loader, loaded) = read(model)?;
    if loader.unsupported.is_empty() {
        return Ok(loaded);
    }
    loader.unsupported.sort();
    loader.unsupported.dedup();
    Err(Error::Unsupported { operators: loader.unsupported })
}

/// The class labels of a model, whether its operators are supported or not.
pub(super) fn class_labels(model: &ModelProto) -> Result<ClassLabels> {
    let (loader, loaded) = read(model)?;
    let by_output = loader.zip_map_labels.into_iter().map(|(output, labels)| (output.to_owned(), labels)).collect();
    Ok(ClassLabels { by_output, labels: loaded.labels })
}

/// Builds what is supported of a model.
fn read(model: &ModelProto) -> Result<(Loader<'_>, Model)> {
    let graph = model.graph.as_ref().ok_or_else(|| Error::Decode("the file has no graph".into()))?;
    let mut loader = Loader {
        constants: Vec::new(),
        sources: HashMap::new(),
        slots: 0,
        unsupported: Vec::new(),
        labels: None,
        zip_map_labels: HashMap::new(),
    };
    for tensor in &graph.initializer {
        match constant::to_tensor(tensor) {
            Ok(value) => loader.add_constant(tensor.name(), value),
            Err(Error::Unsupported { operators }) => {
                loader.unsupported.extend(operators);
                loader.add_constant(tensor.name(), Tensor::default());
            }
            Err(error) => return Err(error),
        }
    }
    for tensor in graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref()) {
        loader.unsupported.push("sparse tensors".to_owned());
        loader.add_constant(tensor.name(), Tensor::default());
    }
    let (mut inputs, mut input_slots) = (Vec::new(), Vec::new());
    for input in &graph.input {
        // Files of IR version 3 also list their initializers as inputs.
        if loader.sources.contains_key(input.name()) {
            continue;
        }
        if let Some(value) = loader.describe(input) {
            inputs.push(value);
        }
        input_slots.push(loader.slots);
        loader.add_slot(input.name())?;
    }
    let uses_doubles = uses_doubles(graph);
    let versions = opset_versions(model);
    let mut steps = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let version = versions.get(canonical_domain(node.domain())).copied().unwrap_or(1);
        loader.add_node(node, version, uses_doubles, &mut steps)?;
    }
    let (mut outputs, mut output_sources) = (Vec::new(), Vec::new());
    for output in &graph.output {
        let source = loader.sources.get(output.name());
        let source =
            source.ok_or_else(|| Error::Invalid(format!("no node produces the output `{}`", output.name())))?;
        output_sources.push(*source);
        if let Some(value) = loader.describe(output) {
            outputs.push(value);
        }
    }
    let plan = Plan {
        steps,
        constants: Arc::new(std::mem::take(&mut loader.constants)),
        slots: loader.slots,
        inputs: input_slots,
        outputs: output_sources,
    };
    let labels = loader.labels.take();
    Ok((loader, Model { inputs, outputs, labels, plan }))
}

/// The versions of the imported operator sets by domain, `ai.onnx` under the empty name.
fn opset_versions(model: &ModelProto) -> HashMap<&str, i64> {
    // A file that does not import an operator set predates all version-dependent behaviour.
    let mut versions = HashMap::from([("ai.onnx.ml", 1), ("", 13)]);
    let mut imported = HashMap::new();
    for set in &model.opset_import {
        let version = imported.entry(canonical_domain(set.domain())).or_insert(set.version());
        *version = set.version().max(*version);
    }
    versions.extend(imported);
    versions
}

fn canonical_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// Whether the graph has 64-bit floats anywhere.
fn uses_doubles(graph: &GraphProto) -> bool {
    let double = DataType::Double as i32;
    let is_double = |value: &ValueInfoProto| match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type() == double,
        _ => false,
    };
    let casts = |node: &NodeProto| {
        node.attribute.iter().any(|attribute| {
            (attribute.name() == "to" && attribute.i == Some(double.into()))
                || attribute
                    .t
                    .as_ref()
                    .is_some_and(|tensor| tensor.data_type() == double && !attribute.name().ends_with("_as_tensor"))
        })
    };
    graph.input.iter().any(is_double)
        || graph.initializer.iter().any(|tensor| tensor.data_type() == double)
        || graph.node.iter().any(casts)
}

impl<'a> Loader<'a> {
    fn add_constant(&mut self, name: &'a str, value: Tensor) {
        self.constants.push(value);
        self.sources.insert(name, Source::Constant(self.constants.len() - 1));
    }

    /// Allocates a slot for the value called `name`.
    fn add_slot(&mut self, name: &'a str) -> Result<usize> {
        let slot = self.slots;
        self.slots += 1;
        if !name.is_empty() && self.sources.insert(name, Source::Slot(slot)).is_some() {
            return Err(Error::Invalid(format!("the value `{name}` is produced twice")));
        }
        Ok(slot)
    }

    fn add_node(
        &mut self,
        proto: &'a NodeProto,
        version: i64,
        uses_doubles: bool,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let node_name = Some(proto.name()).filter(|name| !name.is_empty());
        let node_name = node_name.or(proto.output.first().map(String::as_str)).unwrap_or_default();
        let invalid = |message: String| Error::Invalid(format!("node `{node_name}` ({}): {message}", proto.op_type()));
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(match self.sources.get(name.as_str()) {
                Some(source) => *source,
                None if name.is_empty() => Source::Absent,
                None => return Err(invalid(format!("input `{name}` is not produced by an earlier node"))),
            });
        }
        let constants = inputs.iter().map(|source| match source {
            Source::Constant(at) => self.constants.get(*at),
            _ => None,
        });
        let node = Node { proto, version, constants: constants.collect(), uses_doubles };
        let result = if proto.op_type() == "Constant" && matches!(proto.domain(), "" | "ai.onnx") {
            match constant_node(&node) {
                Ok(value) => {
                    let Some(name) = proto.output.first() else { return Ok(()) };
                    self.add_constant(name, value);
                    return Ok(());
                }
                Err(error) => Err(error),
            }
        } else {
            operator::build(&node)
        };
        let labels = labels_of_node(&node);
        let operator = match result {
            Ok(operator) => Some(operator),
            Err(BuildError::Invalid(message)) => return Err(invalid(message)),
            Err(BuildError::Unsupported(what)) => {
                let domain = if proto.domain().is_empty() { "ai.onnx" } else { proto.domain() };
                let what = if what.is_empty() { what } else { format!(" ({what})") };
                self.unsupported.push(format!("{domain}.{}{what}", proto.op_type()));
                None
            }
        };
        if let Some(labels) = labels {
            if proto.op_type() == "ZipMap"
                && let Some(output) = proto.output.first()
            {
                self.zip_map_labels.insert(output, labels.clone());
            }
            self.labels = Some(labels);
        }
        let outputs = proto.output.iter().map(|name| self.add_slot(name)).collect::<Result<_>>()?;
        if let Some(operator) = operator {
            steps.push(Step {
                operator,
                inputs,
                outputs,
                node: node_name.to_owned(),
                name: proto.op_type().to_owned(),
            });
        }
        Ok(())
    }

    /// Describes an input or output; an unsupported type is recorded in `unsupported`.
    fn describe(&mut self, info: &ValueInfoProto) -> Option<Value> {
        let labels = self.zip_map_labels.get(info.name()).cloned();
        let value_type = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let (kind, shape) = match value_type {
            Some(type_proto::Value::TensorType(tensor)) => {
                let dimensions = tensor.shape.iter().flat_map(|shape| &shape.dim);
                let length = |dimension: &Dimension| match dimension.value {
                    Some(dimension::Value::DimValue(length)) if length > 0 => length,
                    _ => -1,
                };
                (ElementType::from_onnx(tensor.elem_type()), dimensions.map(length).collect())
            }
            _ => match &labels {
                Some(labels) => (Some(ElementType::F32), vec![-1, labels.len() as i64]),
                None => (None, Vec::new()),
            },
        };
        if kind.is_none() {
            self.unsupported.push(format!("the type of `{}`", info.name()));
        }
        Some(Value { name: info.name().to_owned(), kind: kind?, shape, labels })
    }
}

/// The value of a `Constant` node.
fn constant_node(node: &Node<'_>) -> Result<Tensor, BuildError> {
    if let Some(tensor) = node.tensor("value")? {
        return Ok(tensor);
    }
    let (shape, data) = match node.proto.attribute.first() {
        Some(attribute) => match (attribute.name(), attribute.f, attribute.i) {
            ("value_float", Some(value), _) => (vec![], Data::F32(vec![value])),
            ("value_int", _, Some(value)) => (vec![], Data::I64(vec![value])),
            ("value_floats", ..) => (vec![attribute.floats.len()], Data::F32(attribute.floats.clone())),
            ("value_ints", ..) => (vec![attribute.ints.len()], Data::I64(attribute.ints.clone())),
            ("value_strings", ..) => {
                let texts = node.texts("value_strings")?;
                (vec![texts.len()], Data::Text(texts))
            }
            (other, ..) => return Err(BuildError::Unsupported(other.to_owned())),
        },
        None => return Err("the node has no value".into()),
    };
    Tensor::new(shape, data).ok_or_else(|| "the shape does not match the number of elements".into())
}

/// The class labels that a node contains: as an attribute, or, for
/// `ArrayFeatureExtractor`, as the table indexed by the predicted class.
fn labels_of_node(node: &Node<'_>) -> Option<Labels> {
    if node.proto.domain() != "ai.onnx.ml" {
        return None;
    }
    if node.proto.op_type() == "ArrayFeatureExtractor" {
        let table = (*node.constants.first()?)?;
        if table.shape() != [table.data().len()] || table.data().len() as u64 > limits::TARGETS_MAX {
            return None;
        }
        return match table.data() {
            Data::I64(labels) => Some(Labels::Numbers(labels.clone())),
            Data::I32(labels) => Some(Labels::Numbers(labels.iter().map(|&label| label.into()).collect())),
            Data::Text(labels) => Some(Labels::Texts(labels.clone())),
            _ => None,
        };
    }
    Labels::from_node(node).ok()
}
