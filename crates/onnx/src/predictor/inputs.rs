//! Conversion of a frame to the inputs of a model.

use std::ops::Range;
use std::sync::Arc;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{InputKind, PredictError, Signature};

use crate::error::{Error, Result};
use crate::model::{Buffers, Model, Plan};
use crate::tensor::{Element, ElementType, Tensor};

/// How the columns of a frame map to the inputs of the model.
#[derive(Debug)]
pub(super) enum InputMapping {
    /// One input of shape `[n, 1]` for each column, by name.
    Columns(Vec<ColumnInput>),
    /// A single input of shape `[n, columns]`, in the order of the signature.
    Matrix { names: Vec<String>, kind: ElementType },
}

#[derive(Debug)]
pub(super) struct ColumnInput {
    name: String,
    kind: ElementType,
    /// Number of dimensions after the first, all of length 1.
    rest: usize,
    /// The empty text, which represents missing values.
    missing: Arc<str>,
}

impl InputMapping {
    pub(super) fn new(model: &Model, signature: &Signature) -> Result<Self> {
        let column_of = |name: &str| signature.inputs.iter().find(|input| input.name == name);
        if let [input] = model.inputs()
            && (column_of(&input.name).is_none() || signature.inputs.len() > 1)
        {
            let width = input.shape.get(1).copied().unwrap_or(-1);
            if width >= 0 && width != signature.inputs.len() as i64 {
                return Err(Error::Input(format!(
                    "the model's input `{}` has {width} columns, the signature {}",
                    input.name,
                    signature.inputs.len()
                )));
            }
            let text = signature.inputs.iter().find(|column| column.kind == InputKind::Text);
            return match (input.kind, text) {
                (ElementType::F32 | ElementType::F64 | ElementType::I64 | ElementType::I32, None) => Ok(Self::Matrix {
                    names: signature.inputs.iter().map(|column| column.name.clone()).collect(),
                    kind: input.kind,
                }),
                (kind, text) => Err(Error::Input(format!(
                    "the model takes all columns in one input of {kind}{}",
                    text.map(|column| format!(", but `{}` is text", column.name)).unwrap_or_default()
                ))),
            };
        }
        let mut named = Vec::new();
        for input in model.inputs() {
            let Some(column) = column_of(&input.name) else {
                return Err(Error::Input(format!(
                    "the model has the input `{}`, which is missing in the signature",
                    input.name
                )));
            };
            if (input.kind == ElementType::Text) != (column.kind == InputKind::Text) {
                return Err(Error::Input(format!(
                    "the model's input `{}` is {}, in the signature it is {}",
                    input.name,
                    input.kind,
                    if column.kind == InputKind::Text { "text" } else { "a number" }
                )));
            }
            if input.shape.iter().skip(1).any(|&length| length > 1) {
                return Err(Error::Input(format!("the model's input `{}` has more than one column", input.name)));
            }
            let rest = input.shape.len().saturating_sub(1);
            named.push(ColumnInput { name: input.name.clone(), kind: input.kind, rest, missing: Arc::from("") });
        }
        Ok(Self::Columns(named))
    }

    /// Writes the given rows into the inputs of `plan`.
    pub(super) fn fill(
        &self,
        plan: &Plan,
        frame: &Frame,
        rows: Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<(), PredictError> {
        match self {
            Self::Columns(inputs) => {
                for (position, input) in inputs.iter().enumerate() {
                    let column = column(frame, &input.name, position)?;
                    input.fill(column, rows.clone(), plan.input(position, buffers))?;
                }
                Ok(())
            }
            Self::Matrix { names, kind } => {
                let tensor = plan.input(0, buffers);
                match kind {
                    ElementType::F64 => fill_matrix(names, frame, rows, tensor, Ok::<f64, ()>),
                    ElementType::I64 => fill_matrix(names, frame, rows, tensor, to_integer),
                    ElementType::I32 => fill_matrix(names, frame, rows, tensor, |value| {
                        to_integer(value).and_then(|value| i32::try_from(value).map_err(|_| ()))
                    }),
                    _ => fill_matrix(names, frame, rows, tensor, |value| Ok::<f32, ()>(value as f32)),
                }
            }
        }
    }
}

/// Finds a column by name, first at its usual position.
fn column<'a>(frame: &'a Frame, name: &str, expected: usize) -> Result<&'a Column, PredictError> {
    if frame.names().get(expected).is_some_and(|found| found == name) {
        return Ok(&frame.columns()[expected]);
    }
    frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))
}

fn wrong_value(name: &str, expected: &str) -> PredictError {
    PredictError::Input(format!("column `{name}` has a value that is not {expected}"))
}

fn to_integer(value: f64) -> Result<i64, ()> {
    let integer = value as i64;
    if integer as f64 == value { Ok(integer) } else { Err(()) }
}

fn fill_matrix<T: Element + Copy + Default>(
    names: &[String],
    frame: &Frame,
    rows: Range<usize>,
    tensor: &mut Tensor,
    convert: fn(f64) -> Result<T, ()>,
) -> Result<(), PredictError> {
    let columns = names.len();
    let values = tensor.reset::<T>(&[rows.len(), columns]).map_err(PredictError::Model)?;
    values.resize(rows.len() * columns, T::default());
    for (at, name) in names.iter().enumerate() {
        match column(frame, name, at)? {
            Column::Number(numbers) => {
                for (slot, &number) in values.iter_mut().skip(at).step_by(columns).zip(&numbers[rows.clone()]) {
                    *slot = convert(number).map_err(|()| wrong_value(name, "an integer"))?;
                }
            }
            Column::Text(texts) if all_missing(texts, rows.clone()) => {
                for slot in values.iter_mut().skip(at).step_by(columns) {
                    *slot = convert(f64::NAN).map_err(|()| wrong_value(name, "an integer"))?;
                }
            }
            Column::Text(_) => return Err(wrong_value(name, "a number")),
        }
    }
    Ok(())
}

fn all_missing(texts: &TextColumn, mut rows: Range<usize>) -> bool {
    rows.all(|row| texts.codes[row] == perennial_core::frame::MISSING)
}

impl ColumnInput {
    fn fill(&self, column: &Column, rows: Range<usize>, tensor: &mut Tensor) -> Result<(), PredictError> {
        const ONES: [usize; 8] = [1; 8];
        let mut shape = ONES;
        shape[0] = rows.len();
        let shape = &shape[..(1 + self.rest).min(ONES.len())];
        let missing;
        let numbers = match column {
            Column::Number(numbers) if self.kind != ElementType::Text => &numbers[rows],
            Column::Text(texts) if self.kind == ElementType::Text => {
                let text = |row: usize| texts.values.get(texts.codes[row] as usize).unwrap_or(&self.missing).clone();
                tensor.reset::<Arc<str>>(shape).map_err(PredictError::Model)?.extend(rows.map(text));
                return Ok(());
            }
            Column::Number(numbers) if numbers[rows.clone()].iter().all(|number| number.is_nan()) => {
                let texts = tensor.reset::<Arc<str>>(shape).map_err(PredictError::Model)?;
                texts.extend(rows.map(|_| self.missing.clone()));
                return Ok(());
            }
            Column::Text(texts) if all_missing(texts, rows.clone()) => {
                missing = vec![f64::NAN; rows.len()];
                &missing
            }
            Column::Number(_) => return Err(wrong_value(&self.name, "text")),
            Column::Text(_) => return Err(wrong_value(&self.name, "a number")),
        };
        let to_integer = |number: f64| to_integer(number).map_err(|()| wrong_value(&self.name, "an integer"));
        match self.kind {
            ElementType::F64 => tensor.reset::<f64>(shape).map_err(PredictError::Model)?.extend_from_slice(numbers),
            ElementType::I64 => {
                let values = tensor.reset::<i64>(shape).map_err(PredictError::Model)?;
                for &number in numbers {
                    values.push(to_integer(number)?);
                }
            }
            ElementType::I32 => {
                let values = tensor.reset::<i32>(shape).map_err(PredictError::Model)?;
                for &number in numbers {
                    values.push(i32::try_from(to_integer(number)?).map_err(|_| wrong_value(&self.name, "of 32 bits"))?);
                }
            }
            ElementType::Bool => {
                let values = tensor.reset::<bool>(shape).map_err(PredictError::Model)?;
                for &number in numbers {
                    values.push(to_integer(number)? != 0);
                }
            }
            _ => {
                let values = tensor.reset::<f32>(shape).map_err(PredictError::Model)?;
                values.extend(numbers.iter().map(|&number| number as f32));
            }
        }
        Ok(())
    }
}
