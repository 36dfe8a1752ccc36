//! A node of a graph, as operators are built from it.

use std::str::FromStr;

use bytes::Bytes;

use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::Tensor;

/// Why an operator cannot be built from a node.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// The node is valid, but this evaluator does not implement the named part of it.
    Unsupported(String),
    /// The node violates the ONNX specification.
    Invalid(String),
}

impl From<String> for BuildError {
    fn from(message: String) -> Self {
        Self::Invalid(message)
    }
}

impl From<&str> for BuildError {
    fn from(message: &str) -> Self {
        Self::Invalid(message.to_owned())
    }
}

/// A node, the version of its operator set, and its constant inputs.
pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
    /// Version of the operator set of the node's domain.
    pub(crate) version: i64,
    /// The constant inputs, by position; `None` for others.
    pub(crate) constants: Vec<Option<&'a Tensor>>,
    /// Whether the graph has 64-bit floats anywhere.
    pub(crate) uses_doubles: bool,
}

impl<'a> Node<'a> {
    /// The attribute called `name`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name() == name)
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

    /// A text attribute; fails if it is not UTF-8.
    pub(crate) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, BuildError> {
        match self.attribute(name).and_then(|attribute| attribute.s.as_ref()) {
            Some(bytes) => utf8(bytes),
            None => Ok(default),
        }
    }

    /// A text-list attribute; fails if a text is not UTF-8.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<std::sync::Arc<str>>, BuildError> {
        self.strings(name).iter().map(|bytes| utf8(bytes).map(Into::into)).collect()
    }

    /// A text attribute with a closed set of values.
    pub(crate) fn parse_text<T: FromStr<Err = String>>(&self, name: &str, default: &'a str) -> Result<T, BuildError> {
        self.text(name, default)?.parse().map_err(BuildError::Invalid)
    }

    /// A tensor attribute.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, BuildError> {
        match self.attribute(name).and_then(|attribute| attribute.t.as_deref()) {
            Some(proto) => crate::constant::to_tensor(proto).map(Some).map_err(|error| match error {
                crate::Error::Unsupported { operators } => BuildError::Unsupported(operators.join(", ")),
                other => BuildError::Invalid(other.to_string()),
            }),
            None => Ok(None),
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, BuildError> {
    std::str::from_utf8(bytes).map_err(|_| BuildError::Invalid("a text is not UTF-8".into()))
}
