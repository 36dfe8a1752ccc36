//! Validation of an encoded model, before it is decoded or given to a runtime.
//!
//! The validation visits every message of the file, at any depth: the bodies of `If`, `Loop` and `Scan`, training
//! information, sparse tensors. A runtime with another reader of protobuf therefore sees nothing that this walk has not seen.
//! It refuses what reads other files or runs other code, and what would take more memory than the file's size lets expect.

use super::schema::{Content, FIELD_NUMBER_MAX, Field, Message};
use crate::error::{Error, Result, at_most};
use crate::limits;

/// The greatest nesting of messages, as in the decoder.
const DEPTH_MAX: usize = 100;

/// The domains whose operators a model may have: the standard, and those that ONNX Runtime adds to it.
const DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// An operator of `com.microsoft` that loads its content from another file.
const CONTEXT_OPERATOR: &[u8] = b"EPContext";

/// Memory of a decoded message, bytes: about the mean of all kinds.
const MESSAGE_BYTES: u64 = 256;
/// Memory of a decoded text in addition to its own bytes.
const TEXT_BYTES: u64 = 48;
/// Memory of a decoded integer, bytes.
const INTEGER_BYTES: u64 = 8;
/// Elements that a byte of tensor data may stand for: those of the smallest type have one bit.
const ELEMENTS_PER_BYTE_MAX: u64 = 8;

/// Validates an encoded model.
///
/// # Errors
/// [`Error::Invalid`] with the path of the offending message, [`Error::Limit`], or [`Error::Decode`] when the bytes do not
/// encode messages.
pub(super) fn validate(model: &[u8]) -> Result<()> {
    let memory_max = limits::DECODED_BYTES_MIN + limits::DECODED_BYTES_PER_BYTE_MAX * model.len() as u64;
    let mut walk = Walk { memory_max, ..Walk::default() };
    walk.message(Message::Model, model, 1).map_err(Fault::into_error)
}

/// What the walk has counted so far.
#[derive(Default)]
struct Walk {
    nodes: u64,
    values: u64,
    attributes: u64,
    entries: u64,
    /// Elements of all tensors, as their shapes declare them.
    elements: u64,
    /// Estimated memory of the decoded messages, bytes.
    memory: u64,
    memory_max: u64,
}

/// The declared shape and the data of a tensor.
#[derive(Default)]
struct TensorSize {
    rank: u64,
    /// Product of the dimensions; a length of 0 counts as 1.
    elements: u64,
    is_empty: bool,
    /// Bytes of data; a text counts as one more than its bytes.
    data_bytes: u64,
}

/// An error, and the path from the message where it is to the model.
struct Fault {
    error: Error,
    path: Vec<String>,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, path: Vec::new() }
    }
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid(message.into()).into()
    }

    fn within(mut self, field: Field, position: u64) -> Self {
        if matches!(self.error, Error::Invalid(_)) {
            self.path.push(if field.is_repeated {
                format!("{}[{position}]", field.name)
            } else {
                field.name.to_owned()
            });
        }
        self
    }

    fn into_error(mut self) -> Error {
        match self.error {
            Error::Invalid(message) if self.path.is_empty() => Error::Invalid(format!("the model {message}")),
            Error::Invalid(message) => {
                self.path.reverse();
                Error::Invalid(format!("`{}` {message}", self.path.join(".")))
            }
            other => other,
        }
    }
}

impl Walk {
    /// Validates the fields of a message, and the messages in them.
    fn message(&mut self, message: Message, bytes: &[u8], depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Error::Decode("messages are nested too deeply".into()).into());
        }
        let mut positions = [0_u64; FIELD_NUMBER_MAX + 1];
        let mut size = TensorSize { elements: 1, ..TensorSize::default() };
        each_field(bytes, |number, value| {
            let field =
                message.field(number).ok_or_else(|| Fault::invalid(format!("has the unknown field {number}")))?;
            let position = &mut positions[number as usize];
            *position += 1;
            let position = *position - 1;
            let validated = match (field.content, value) {
                (Content::Message(child), Wire::Bytes(content)) => {
                    self.child(message, field, child).and_then(|()| self.message(child, content, depth + 1))
                }
                (Content::Message(_), _) | (Content::Text, Wire::Number(_)) | (Content::Number, Wire::Bytes(_)) => {
                    Err(unexpected_wire_type().into())
                }
                (_, value) => self.leaf(message, field, value, &mut size),
            };
            validated.map_err(|fault| fault.within(field, position))
        })?;
        match message {
            Message::Tensor | Message::SparseTensor => self.tensor(message, &size),
            _ => Ok(()),
        }
    }

    /// Counts a message, and refuses those that no model may have.
    fn child(&mut self, parent: Message, field: Field, child: Message) -> Result<(), Fault> {
        match (parent, field.name) {
            (Message::Tensor, "external_data") => return Err(Fault::invalid(EXTERNAL)),
            (Message::Model, "functions") => {
                return Err(Fault::invalid(
                    "is a local function, expected a model without: inline them by `onnx.inliner.inline_local_functions`",
                ));
            }
            _ => {}
        }
        self.add_memory(MESSAGE_BYTES)?;
        let (count, what, limit) = match child {
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
        Ok(at_most(what, *count, limit)?)
    }

    /// Validates a field without messages.
    fn leaf(&mut self, message: Message, field: Field, value: Wire<'_>, size: &mut TensorSize) -> Result<(), Fault> {
        self.add_memory(match (field.content, value) {
            (Content::Integers, Wire::Bytes(packed)) => integers(packed) * INTEGER_BYTES,
            (Content::Text, Wire::Bytes(text)) => TEXT_BYTES + text.len() as u64,
            (_, Wire::Bytes(bytes)) => bytes.len() as u64,
            (_, Wire::Number(_)) => INTEGER_BYTES,
        })?;
        match (message, field.name, value) {
            (Message::Node, "input" | "output", _) => {
                self.attributes += 1;
                at_most("attributes", self.attributes, limits::ATTRIBUTES_MAX)?;
            }
            (Message::Node, "domain", Wire::Bytes(domain))
                if !DOMAINS.iter().any(|known| known.as_bytes() == domain) =>
            {
                return Err(Fault::invalid(format!(
                    "is `{}`, expected an operator of `ai.onnx`, `ai.onnx.ml` or `com.microsoft`",
                    String::from_utf8_lossy(domain).escape_debug()
                )));
            }
            (Message::Node, "op_type", Wire::Bytes(CONTEXT_OPERATOR)) => {
                return Err(Fault::invalid("is `EPContext`, which takes its content from another file"));
            }
            (Message::Tensor, "data_location", Wire::Number(location)) if location != 0 => {
                return Err(Fault::invalid(EXTERNAL));
            }
            (Message::Attribute, "s" | "strings", Wire::Bytes(text))
            | (Message::Tensor, "string_data", Wire::Bytes(text))
                if text.len() as u64 > limits::TEXT_BYTES_MAX =>
            {
                return Err(Fault::invalid("has a text of more than 1 MiB"));
            }
            (Message::Tensor | Message::SparseTensor, "dims", value) => size.add_dimensions(value)?,
            (Message::Tensor, "string_data", Wire::Bytes(text)) => size.data_bytes += 1 + text.len() as u64,
            (Message::Tensor, name, Wire::Bytes(data)) if name.ends_with("_data") => {
                size.data_bytes += data.len() as u64;
            }
            (Message::Tensor, name, Wire::Number(_)) if name.ends_with("_data") => size.data_bytes += 1,
            _ => {}
        }
        Ok(())
    }

    /// Validates the size of a tensor: what it declares, it has.
    fn tensor(&mut self, message: Message, size: &TensorSize) -> Result<(), Fault> {
        at_most("dimensions of a tensor", size.rank, limits::TENSOR_RANK_MAX as u64)?;
        at_most("elements of a tensor", size.elements, limits::TENSOR_ELEMENTS_MAX)?;
        let elements = if size.is_empty { 0 } else { size.elements };
        if message == Message::Tensor && elements > size.data_bytes.saturating_mul(ELEMENTS_PER_BYTE_MAX) {
            return Err(Fault::invalid(format!(
                "declares {elements} elements, but has {} bytes of data",
                size.data_bytes
            )));
        }
        self.elements += elements;
        Ok(at_most("elements of all tensors", self.elements, limits::TENSORS_ELEMENTS_MAX)?)
    }

    fn add_memory(&mut self, bytes: u64) -> Result<()> {
        self.memory = self.memory.saturating_add(bytes);
        at_most("bytes of memory when it is decoded", self.memory, self.memory_max)
    }
}

const EXTERNAL: &str = "stores its data in another file, expected a model in one file";

impl TensorSize {
    fn add_dimensions(&mut self, value: Wire<'_>) -> Result<(), Fault> {
        match value {
            Wire::Number(length) => self.add_dimension(length),
            Wire::Bytes(mut packed) => {
                while !packed.is_empty() {
                    let length = varint(&mut packed)?;
                    self.add_dimension(length)?;
                }
                Ok(())
            }
        }
    }

    fn add_dimension(&mut self, length: u64) -> Result<(), Fault> {
        if i64::try_from(length).is_err() {
            return Err(Fault::invalid("has a negative dimension"));
        }
        self.rank += 1;
        self.is_empty |= length == 0;
        self.elements = self.elements.saturating_mul(length.max(1));
        Ok(())
    }
}

/// The value of a field as it is encoded.
#[derive(Clone, Copy)]
enum Wire<'a> {
    /// A varint; the bits of a number of fixed length.
    Number(u64),
    /// A text, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Calls `visit` with the number and the value of each field.
fn each_field<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(u64, Wire<'a>) -> Result<(), Fault>) -> Result<(), Fault> {
    let cut = || Error::Decode("the file ends within a field".into());
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Number(u64::from_le_bytes(take(&mut bytes).ok_or_else(cut)?)),
            5 => Wire::Number(u32::from_le_bytes(take(&mut bytes).ok_or_else(cut)?).into()),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| cut())?;
                Wire::Bytes(bytes.split_off(..length).ok_or_else(cut)?)
            }
            _ => return Err(unexpected_wire_type().into()),
        };
        visit(key >> 3, value)?;
    }
    Ok(())
}

/// The next `N` bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}

fn unexpected_wire_type() -> Error {
    Error::Decode("a field has an unknown wire type".into())
}

/// Number of integers in packed bytes: each ends with a byte below 0x80.
fn integers(packed: &[u8]) -> u64 {
    packed.iter().filter(|&&byte| byte < 0x80).count() as u64
}

/// Reads a varint; most have one byte.
fn varint(bytes: &mut &[u8]) -> Result<u64> {
    match bytes.split_first() {
        Some((&first, rest)) if first < 0x80 => {
            *bytes = rest;
            Ok(first.into())
        }
        _ => prost::encoding::decode_varint(bytes).map_err(|error| Error::Decode(error.to_string())),
    }
}
