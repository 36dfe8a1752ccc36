//! Binds the columns of a signature to a model's inputs.

use std::ops::Range;

use perennial_core::frame::{Column, Frame};
use perennial_core::model::{InputKind, PredictError, Signature};

use super::protocol::{Element, InputLayout, Outlet};

/// How columns become input tensors.
pub(super) enum InputBinding {
    /// One input per column, by name.
    Columns(Vec<ColumnInput>),
    /// One input of shape `[rows, columns]`, columns in the order of the signature.
    Matrix { input: String, names: Vec<String>, element: Element },
}

/// An input that takes one column.
pub(super) struct ColumnInput {
    name: String,
    element: Element,
    /// Dimensions, all but the first of length 1.
    rank: usize,
}

impl InputBinding {
    /// Matches a model's inputs with the columns of its signature.
    pub(super) fn new(inputs: &[Outlet], signature: &Signature) -> Result<Self, String> {
        let column = |name: &str| signature.inputs.iter().find(|input| input.name == name);
        let element_of = |outlet: &Outlet| {
            let element = outlet.element().filter(|&element| element != Element::Other);
            element.ok_or_else(|| {
                format!(
                    "the model's input `{}` is {}, which is not a supported input type",
                    outlet.name,
                    outlet.type_name()
                )
            })
        };
        if let [input] = inputs
            && (column(&input.name).is_none() || signature.inputs.len() > 1)
        {
            let width = input.shape().and_then(|shape| shape.get(1).copied()).unwrap_or(-1);
            if width >= 0 && width != signature.inputs.len() as i64 {
                return Err(format!(
                    "the model's input `{}` has {width} columns, the signature {}",
                    input.name,
                    signature.inputs.len()
                ));
            }
            let element = element_of(input)?;
            let mismatch = signature.inputs.iter().find(|column| is_text(element) != (column.kind == InputKind::Text));
            if let Some(column) = mismatch {
                return Err(format!(
                    "the model takes all columns in one input of {element}, which `{}` is not",
                    column.name
                ));
            }
            let names = signature.inputs.iter().map(|column| column.name.clone()).collect();
            return Ok(Self::Matrix { input: input.name.clone(), names, element });
        }
        let mut columns = Vec::new();
        for input in inputs {
            let Some(column) = column(&input.name) else {
                return Err(format!("the model has the input `{}`, which is missing in the signature", input.name));
            };
            let element = element_of(input)?;
            if is_text(element) != (column.kind == InputKind::Text) {
                return Err(format!(
                    "the model's input `{}` is {element}, in the signature it is {}",
                    input.name,
                    if column.kind == InputKind::Text { "text" } else { "a number" }
                ));
            }
            if input.shape().is_some_and(|shape| shape.iter().skip(1).any(|&length| length > 1)) {
                return Err(format!("the model's input `{}` has more than one column", input.name));
            }
            let rank = input.shape().map_or(1, |shape| shape.len().max(1));
            columns.push(ColumnInput { name: input.name.clone(), element, rank });
        }
        Ok(Self::Columns(columns))
    }

    /// The input tensors.
    pub(super) fn layouts(&self) -> Vec<InputLayout> {
        match self {
            Self::Columns(inputs) => inputs
                .iter()
                .map(|input| InputLayout {
                    name: input.name.clone(),
                    element: input.element,
                    row_shape: vec![1; input.rank - 1],
                })
                .collect(),
            Self::Matrix { input, names, element } => {
                vec![InputLayout { name: input.clone(), element: *element, row_shape: vec![names.len()] }]
            }
        }
    }

    /// The input tensors of some rows, encoded.
    pub(super) fn encode(&self, frame: &Frame, rows: Range<usize>) -> Result<Vec<u8>, PredictError> {
        let mut bytes = Vec::new();
        match self {
            Self::Columns(inputs) => {
                for input in inputs {
                    encode(frame, rows.clone(), std::slice::from_ref(&input.name), input.element, &mut bytes)?;
                }
            }
            Self::Matrix { names, element, .. } => encode(frame, rows, names, *element, &mut bytes)?,
        }
        Ok(bytes)
    }
}

fn is_text(element: Element) -> bool {
    element == Element::Text
}

/// Appends one tensor of the columns `names`, in row-major order.
fn encode(
    frame: &Frame,
    rows: Range<usize>,
    names: &[String],
    element: Element,
    bytes: &mut Vec<u8>,
) -> Result<(), PredictError> {
    let columns = names
        .iter()
        .map(|name| {
            let column =
                frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))?;
            Ok((name.as_str(), column))
        })
        .collect::<Result<Vec<_>, PredictError>>()?;
    for row in rows {
        for &(name, column) in &columns {
            let value = || number(name, column, row);
            match element {
                Element::Text => {
                    let text = text(name, column, row)?;
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                Element::Float64 => bytes.extend_from_slice(&value()?.to_le_bytes()),
                Element::Int64 => bytes.extend_from_slice(&integer(name, value()?)?.to_le_bytes()),
                Element::Int32 => {
                    let narrow = i32::try_from(integer(name, value()?)?);
                    bytes.extend_from_slice(&narrow.map_err(|_| unexpected_value(name, "of 32 bits"))?.to_le_bytes());
                }
                Element::Bool => bytes.push(u8::from(integer(name, value()?)? != 0)),
                Element::Float32 | Element::Other => bytes.extend_from_slice(&(value()? as f32).to_le_bytes()),
            }
        }
    }
    Ok(())
}

/// The number at `row`; NaN when missing.
fn number(name: &str, column: &Column, row: usize) -> Result<f64, PredictError> {
    match column {
        Column::Number(values) => Ok(values[row]),
        Column::Text(_) if column.is_missing(row) => Ok(f64::NAN),
        Column::Text(_) => Err(unexpected_value(name, "a number")),
    }
}

/// The text at `row`; empty when missing.
fn text<'a>(name: &str, column: &'a Column, row: usize) -> Result<&'a str, PredictError> {
    match column {
        Column::Text(values) => Ok(values.get(row).unwrap_or_default()),
        Column::Number(_) if column.is_missing(row) => Ok(""),
        Column::Number(_) => Err(unexpected_value(name, "text")),
    }
}

fn integer(name: &str, number: f64) -> Result<i64, PredictError> {
    let integer = number as i64;
    if integer as f64 == number { Ok(integer) } else { Err(unexpected_value(name, "an integer")) }
}

fn unexpected_value(name: &str, expected: &str) -> PredictError {
    PredictError::Input(format!("column `{name}` has a value that is not {expected}"))
}
