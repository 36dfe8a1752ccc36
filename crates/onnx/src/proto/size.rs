//! Counting of messages in an encoded model, before they are decoded.
//!
//! An empty message takes two bytes in a file and up to some hundred in memory. The counts are
//! therefore checked first, so that a small file cannot allocate much memory.

use crate::error::{Error, Result, at_most};
use crate::limits;

/// The greatest nesting of messages, as in the decoder.
const DEPTH_MAX: usize = 100;

/// The kinds of messages, as far as they contain others.
#[derive(Clone, Copy, PartialEq)]
enum Message {
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
    /// A message without further ones.
    Entry,
}

impl Message {
    /// The kind of the message in a field of this one; `None` for other fields.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::ValueInfo,
            (Self::ValueInfo | Self::MapType, 2) | (Self::Attribute, 14 | 15) | (Self::ElementType, 1) => Self::Type,
            (Self::Type, 1 | 8) => Self::TensorType,
            (Self::Type, 4 | 9) => Self::ElementType,
            (Self::Type, 5) => Self::MapType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Graph, 14) => Self::Annotation,
            (Self::Node, 10) => Self::DeviceConfiguration,
            (Self::DeviceConfiguration, 2) => Self::Sharding,
            (Self::Sharding, 4) => Self::ShardedDimension,
            (Self::Model, 8 | 14 | 26)
            | (Self::Training, 3 | 4)
            | (Self::Function, 9 | 14)
            | (Self::Graph, 16)
            | (Self::Node, 9)
            | (Self::Tensor, 3 | 13 | 16)
            | (Self::ValueInfo, 4)
            | (Self::Type, 7)
            | (Self::Shape, 1)
            | (Self::Annotation | Self::ShardedDimension, 2)
            | (Self::Sharding, 3) => Self::Entry,
            _ => return None,
        })
    }
}

/// Numbers of messages in a model.
#[derive(Default)]
struct Counts {
    nodes: u64,
    values: u64,
    attributes: u64,
    entries: u64,
}

/// Checks the numbers of messages in an encoded model against the [`limits`].
pub(super) fn check_counts(model: &[u8]) -> Result<()> {
    Counts::default().add_fields(Message::Model, model, 1)
}

impl Counts {
    /// Counts the messages within a message, at any depth.
    fn add_fields(&mut self, message: Message, bytes: &[u8], depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Error::Decode("messages are nested too deeply".into()));
        }
        each_field(bytes, |field, content| {
            if message == Message::Node && matches!(field, 1 | 2) {
                self.attributes += 1;
                return at_most("attributes", self.attributes, limits::ATTRIBUTES_MAX);
            }
            let Some(child) = message.child(field) else { return Ok(()) };
            self.add(child)?;
            if child == Message::Entry { Ok(()) } else { self.add_fields(child, content, depth + 1) }
        })
    }

    fn add(&mut self, message: Message) -> Result<()> {
        let (count, what, limit) = match message {
            Message::Node => (&mut self.nodes, "nodes", limits::GRAPH_NODES_MAX),
            Message::Attribute => (&mut self.attributes, "attributes", limits::ATTRIBUTES_MAX),
            Message::Training
            | Message::Function
            | Message::Graph
            | Message::Tensor
            | Message::SparseTensor
            | Message::ValueInfo => (&mut self.values, "values", limits::GRAPH_VALUES_MAX),
            _ => (&mut self.entries, "types and metadata entries", limits::ENTRIES_MAX),
        };
        *count += 1;
        at_most(what, *count, limit)
    }
}

/// Calls `visit` with the field number and content of each length-delimited field.
fn each_field(mut bytes: &[u8], mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let cut = || Error::Decode("the file ends within a field".into());
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let skip = match key & 7 {
            0 => {
                while bytes.split_off_first().ok_or_else(cut)? & 0x80 != 0 {}
                0
            }
            1 => 8,
            5 => 4,
            2 => {
                let length = varint(&mut bytes)?;
                visit(key as u64 >> 3, bytes.get(..length).ok_or_else(cut)?)?;
                length
            }
            _ => return Err(Error::Decode("a field has an unknown wire type".into())),
        };
        bytes = bytes.get(skip..).ok_or_else(cut)?;
    }
    Ok(())
}

/// Reads a varint; most have one byte.
fn varint(bytes: &mut &[u8]) -> Result<usize> {
    match bytes.split_first() {
        Some((&first, rest)) if first < 0x80 => {
            *bytes = rest;
            Ok(first.into())
        }
        _ => prost::decode_length_delimiter(bytes).map_err(|error| Error::Decode(error.to_string())),
    }
}
