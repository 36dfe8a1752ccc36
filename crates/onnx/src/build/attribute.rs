//! Attributes of a node.

use bytes::Bytes;

use super::GraphBuilder;
use crate::proto::{AttributeProto, AttributeType, TensorProto};

fn typed(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..typed(name, AttributeType::Float) }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..typed(name, AttributeType::Int) }
}

/// A text attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(Bytes::copy_from_slice(value.as_bytes())), ..typed(name, AttributeType::String) }
}

/// A tensor attribute.
pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(Box::new(value)), ..typed(name, AttributeType::Tensor) }
}

/// A graph, such as the body of a `Loop`.
pub fn graph(name: &str, value: GraphBuilder) -> AttributeProto {
    AttributeProto { g: Some(Box::new(value.into_graph())), ..typed(name, AttributeType::Graph) }
}

/// A list of floats.
pub fn floats(name: &str, values: Vec<f32>) -> AttributeProto {
    AttributeProto { floats: values, ..typed(name, AttributeType::Floats) }
}

/// A list of integers.
pub fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto { ints: values, ..typed(name, AttributeType::Ints) }
}

/// A list of texts.
pub fn texts<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = S>) -> AttributeProto {
    let strings = values.into_iter().map(|value| Bytes::copy_from_slice(value.as_ref().as_bytes())).collect();
    AttributeProto { strings, ..typed(name, AttributeType::Strings) }
}
