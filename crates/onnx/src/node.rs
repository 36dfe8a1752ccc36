//! One node of a graph as operators see it when they are made.

use std::str::FromStr;

use bytes::Bytes;

use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::Tensor;

/// Why an operator cannot be made from a node.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is right, but not taken here; the text says what about it.
    Unsupported(String),
    /// It breaks ONNX's rules.
    Invalid(String),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Invalid(message)
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::Invalid(message.to_owned())
    }
}

/// A node, the version of its operator set, and what is known before a run.
pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
    /// Version of the operator set the node's domain is taken from.
    pub(crate) version: i64,
    /// The constants among the inputs, by position.
    pub(crate) constants: Vec<Option<&'a Tensor>>,
    /// Whether the graph holds 64-bit floats anywhere.
    pub(crate) wide: bool,
}

impl<'a> Node<'a> {
    /// The attribute called `name`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    pub(crate) fn ints(&self, name: &str) -> &'a [i64] {
        self.attribute(name).map_or(&[], |attribute| &attribute.ints)
    }

    pub(crate) fn floats(&self, name: &str) -> &'a [f32] {
        self.attribute(name).map_or(&[], |attribute| &attribute.floats)
    }

    pub(crate) fn strings(&self, name: &str) -> &'a [Bytes] {
        self.attribute(name).map_or(&[], |attribute| &attribute.strings)
    }

    /// A text attribute; text that is not UTF-8 is refused.
    pub(crate) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, Refusal> {
        match self.attribute(name).and_then(|attribute| attribute.s.as_ref()) {
            Some(bytes) => utf8(bytes),
            None => Ok(default),
        }
    }

    /// A list of texts, shared as they will be handed out.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<std::sync::Arc<str>>, Refusal> {
        self.strings(name).iter().map(|bytes| utf8(bytes).map(Into::into)).collect()
    }

    /// A text attribute with a closed set of words.
    pub(crate) fn word<T: FromStr<Err = String>>(&self, name: &str, default: &'a str) -> Result<T, Refusal> {
        self.text(name, default)?.parse().map_err(Refusal::Invalid)
    }

    /// A constant tensor in an attribute.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, Refusal> {
        match self.attribute(name).and_then(|attribute| attribute.t.as_ref()) {
            Some(proto) => crate::constant::read(proto).map(Some).map_err(|error| match error {
                crate::Error::Unsupported { operators } => Refusal::Unsupported(operators.join(", ")),
                other => Refusal::Invalid(other.to_string()),
            }),
            None => Ok(None),
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::Invalid("a text is not UTF-8".into()))
}
