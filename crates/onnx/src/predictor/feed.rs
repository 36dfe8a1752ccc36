//! From a frame to the inputs of a model.

use std::ops::Range;
use std::sync::Arc;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{InputKind, PredictError, Signature};

use crate::error::{Error, Result};
use crate::model::{Buffers, Model, Plan};
use crate::tensor::{Element, Kind, Tensor};

/// How the columns reach the model.
#[derive(Debug)]
pub(super) enum Feed {
    /// One input a column, `[n, 1]`, by name.
    Named(Vec<Named>),
    /// One input `[n, columns]`, in the order of the signature.
    Matrix { names: Vec<String>, kind: Kind },
}

#[derive(Debug)]
pub(super) struct Named {
    name: String,
    kind: Kind,
    /// The dimensions after the first, all of length 1.
    rest: usize,
    /// What stands for a missing text.
    missing: Arc<str>,
}

impl Feed {
    pub(super) fn new(model: &Model, signature: &Signature) -> Result<Self> {
        let names = |name: &str| signature.inputs.iter().find(|input| input.name == name);
        if let [input] = model.inputs()
            && (names(&input.name).is_none() || signature.inputs.len() > 1)
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
                (Kind::F32 | Kind::F64 | Kind::I64 | Kind::I32, None) => Ok(Self::Matrix {
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
            let Some(column) = names(&input.name) else {
                return Err(Error::Input(format!(
                    "the model asks for `{}`, which the signature does not have",
                    input.name
                )));
            };
            if (input.kind == Kind::Text) != (column.kind == InputKind::Text) {
                return Err(Error::Input(format!(
                    "the model's input `{}` is {}, in the signature it is {}",
                    input.name,
                    input.kind,
                    if column.kind == InputKind::Text { "text" } else { "a number" }
                )));
            }
            if input.shape.iter().skip(1).any(|&length| length > 1) {
                return Err(Error::Input(format!("the model's input `{}` is wider than one column", input.name)));
            }
            let rest = input.shape.len().saturating_sub(1);
            named.push(Named { name: input.name.clone(), kind: input.kind, rest, missing: Arc::from("") });
        }
        Ok(Self::Named(named))
    }

    /// Puts the rows into the inputs of `plan`.
    pub(super) fn fill(
        &self,
        plan: &Plan,
        frame: &Frame,
        rows: Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<(), PredictError> {
        match self {
            Self::Named(inputs) => {
                for (position, input) in inputs.iter().enumerate() {
                    let column = column(frame, &input.name, position)?;
                    input.fill(column, rows.clone(), plan.input(position, buffers))?;
                }
                Ok(())
            }
            Self::Matrix { names, kind } => {
                let tensor = plan.input(0, buffers);
                match kind {
                    Kind::F64 => matrix(names, frame, rows, tensor, Ok::<f64, ()>),
                    Kind::I64 => matrix(names, frame, rows, tensor, whole),
                    Kind::I32 => matrix(names, frame, rows, tensor, |value| {
                        whole(value).and_then(|value| i32::try_from(value).map_err(|_| ()))
                    }),
                    _ => matrix(names, frame, rows, tensor, |value| Ok::<f32, ()>(value as f32)),
                }
            }
        }
    }
}

/// A column by name; it usually stands where it is expected.
fn column<'a>(frame: &'a Frame, name: &str, expected: usize) -> Result<&'a Column, PredictError> {
    if frame.names().get(expected).is_some_and(|found| found == name) {
        return Ok(&frame.columns()[expected]);
    }
    frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))
}

fn refused(name: &str, expected: &str) -> PredictError {
    PredictError::Input(format!("column `{name}` holds a value that is not {expected}"))
}

fn whole(value: f64) -> Result<i64, ()> {
    let whole = value as i64;
    if whole as f64 == value { Ok(whole) } else { Err(()) }
}

fn matrix<T: Element + Copy + Default>(
    names: &[String],
    frame: &Frame,
    rows: Range<usize>,
    tensor: &mut Tensor,
    convert: fn(f64) -> Result<T, ()>,
) -> Result<(), PredictError> {
    let columns = names.len();
    let values = tensor.start::<T>(&[rows.len(), columns]).map_err(PredictError::Input)?;
    values.resize(rows.len() * columns, T::default());
    for (at, name) in names.iter().enumerate() {
        match column(frame, name, at)? {
            Column::Number(numbers) => {
                for (slot, &number) in values.iter_mut().skip(at).step_by(columns).zip(&numbers[rows.clone()]) {
                    *slot = convert(number).map_err(|()| refused(name, "a whole number"))?;
                }
            }
            Column::Text(texts) if is_missing(texts, rows.clone()) => {
                for slot in values.iter_mut().skip(at).step_by(columns) {
                    *slot = convert(f64::NAN).map_err(|()| refused(name, "a whole number"))?;
                }
            }
            Column::Text(_) => return Err(refused(name, "a number")),
        }
    }
    Ok(())
}

fn is_missing(texts: &TextColumn, mut rows: Range<usize>) -> bool {
    rows.all(|row| texts.codes[row] == perennial_core::frame::MISSING)
}

impl Named {
    fn fill(&self, column: &Column, rows: Range<usize>, tensor: &mut Tensor) -> Result<(), PredictError> {
        const ONES: [usize; 8] = [1; 8];
        let mut shape = ONES;
        shape[0] = rows.len();
        let shape = &shape[..(1 + self.rest).min(ONES.len())];
        let missing;
        let numbers = match column {
            Column::Number(numbers) if self.kind != Kind::Text => &numbers[rows],
            Column::Text(texts) if self.kind == Kind::Text => {
                let text = |row: usize| texts.values.get(texts.codes[row] as usize).unwrap_or(&self.missing).clone();
                tensor.start::<Arc<str>>(shape).map_err(PredictError::Input)?.extend(rows.map(text));
                return Ok(());
            }
            Column::Number(numbers) if numbers[rows.clone()].iter().all(|number| number.is_nan()) => {
                let texts = tensor.start::<Arc<str>>(shape).map_err(PredictError::Input)?;
                texts.extend(rows.map(|_| self.missing.clone()));
                return Ok(());
            }
            Column::Text(texts) if is_missing(texts, rows.clone()) => {
                missing = vec![f64::NAN; rows.len()];
                &missing
            }
            Column::Number(_) => return Err(refused(&self.name, "text")),
            Column::Text(_) => return Err(refused(&self.name, "a number")),
        };
        let whole = |number: f64| whole(number).map_err(|()| refused(&self.name, "a whole number"));
        match self.kind {
            Kind::F64 => tensor.start::<f64>(shape).map_err(PredictError::Input)?.extend_from_slice(numbers),
            Kind::I64 => {
                let values = tensor.start::<i64>(shape).map_err(PredictError::Input)?;
                for &number in numbers {
                    values.push(whole(number)?);
                }
            }
            Kind::I32 => {
                let values = tensor.start::<i32>(shape).map_err(PredictError::Input)?;
                for &number in numbers {
                    values.push(i32::try_from(whole(number)?).map_err(|_| refused(&self.name, "of 32 bits"))?);
                }
            }
            Kind::Bool => {
                let values = tensor.start::<bool>(shape).map_err(PredictError::Input)?;
                for &number in numbers {
                    values.push(whole(number)? != 0);
                }
            }
            _ => {
                let values = tensor.start::<f32>(shape).map_err(PredictError::Input)?;
                values.extend(numbers.iter().map(|&number| number as f32));
            }
        }
        Ok(())
    }
}
