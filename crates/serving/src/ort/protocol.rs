//! What the server and the worker of a model say to each other.
//!
//! The payload of [`Call::Run`] has the input tensors one after the other, in the order of [`Binding::inputs`] and row by
//! row: numbers little-endian, booleans as bytes, texts as a length of four bytes and their UTF-8. That of its answer has
//! the numbers of the output, little-endian.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A call of the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    /// Loads the model from the file that comes with the call; the answer is a [`Description`].
    Load,
    /// Sets the tensors and the output of later runs; the answer is empty.
    Bind(Binding),
    /// Computes the output of so many rows.
    Run {
        /// Number of rows.
        rows: usize,
    },
}

/// The inputs and outputs of a model, in the file's order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) inputs: Vec<Outlet>,
    pub(super) outputs: Vec<Outlet>,
}

/// An input or output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outlet {
    pub(super) name: String,
    pub(super) kind: OutletKind,
}

/// The type of an input or output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutletKind {
    /// A tensor.
    Tensor {
        element: Element,
        /// Dimensions; -1 for one of any length.
        shape: Vec<i64>,
    },
    /// A sequence, as of maps by class.
    Sequence,
    /// Another type.
    Other,
}

impl Outlet {
    /// The element type of a tensor.
    pub(super) fn element(&self) -> Option<Element> {
        match self.kind {
            OutletKind::Tensor { element, .. } => Some(element),
            OutletKind::Sequence | OutletKind::Other => None,
        }
    }

    /// The dimensions of a tensor.
    pub(super) fn shape(&self) -> Option<&[i64]> {
        match &self.kind {
            OutletKind::Tensor { shape, .. } => Some(shape),
            OutletKind::Sequence | OutletKind::Other => None,
        }
    }

    /// The type's name.
    pub(super) fn type_name(&self) -> String {
        self.element().map_or_else(|| "not a tensor".to_owned(), |element| element.to_string())
    }
}

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Element {
    Float32,
    Float64,
    Int64,
    Int32,
    Bool,
    Text,
    /// A type that no column can be given as.
    Other,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Bool => "bool",
            Self::Text => "string",
            Self::Other => "of another type",
        })
    }
}

/// How rows become tensors, and which output becomes scores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) inputs: Vec<InputLayout>,
    /// The output with the scores.
    pub(super) output: String,
    /// The classes of the columns, in order, where the output has maps by class.
    pub(super) labels: Option<Vec<String>>,
}

/// An input tensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InputLayout {
    pub(super) name: String,
    pub(super) element: Element,
    /// The dimensions after the first, which is the number of rows.
    pub(super) row_shape: Vec<usize>,
}
