//! Binds the columns of a signature to a model's inputs.

use ort::session::SessionInputValue;
use ort::value::{Outlet, Tensor, TensorElementType};
use perennial_core::frame::{Column, Frame};
use perennial_core::model::{InputKind, PredictError, Signature};

use super::type_of;

/// How columns become input tensors.
pub(super) enum InputBinding {
    /// One input per column, by name.
    Columns(Vec<ColumnInput>),
    /// One input of shape `[rows, columns]`, columns in the order of the signature.
    Matrix { input: String, names: Vec<String>, kind: TensorElementType },
}

/// An input that takes one column.
pub(super) struct ColumnInput {
    name: String,
    kind: TensorElementType,
    /// Dimensions, all but the first of length 1.
    rank: usize,
}

type Inputs = Vec<(String, SessionInputValue<'static>)>;

impl InputBinding {
    /// Matches a model's inputs with the columns of its signature.
    pub(super) fn new(inputs: &[Outlet], signature: &Signature) -> Result<Self, String> {
        let column = |name: &str| signature.inputs.iter().find(|input| input.name == name);
        let kind_of = |outlet: &Outlet| {
            let kind = outlet.dtype().tensor_type().filter(|&kind| is_known(kind));
            kind.ok_or_else(|| {
                format!(
                    "the model's input `{}` is {}, which is not a supported input type",
                    outlet.name(),
                    type_of(outlet.dtype())
                )
            })
        };
        if let [input] = inputs
            && (column(input.name()).is_none() || signature.inputs.len() > 1)
        {
            let width = input.dtype().tensor_shape().and_then(|shape| shape.get(1).copied()).unwrap_or(-1);
            if width >= 0 && width != signature.inputs.len() as i64 {
                return Err(format!(
                    "the model's input `{}` has {width} columns, the signature {}",
                    input.name(),
                    signature.inputs.len()
                ));
            }
            let kind = kind_of(input)?;
            let mismatch = signature.inputs.iter().find(|column| is_text(kind) != (column.kind == InputKind::Text));
            if let Some(column) = mismatch {
                return Err(format!(
                    "the model takes all columns in one input of {}, which `{}` is not",
                    type_of(input.dtype()),
                    column.name
                ));
            }
            let names = signature.inputs.iter().map(|column| column.name.clone()).collect();
            return Ok(Self::Matrix { input: input.name().to_owned(), names, kind });
        }
        let mut columns = Vec::new();
        for input in inputs {
            let Some(column) = column(input.name()) else {
                return Err(format!("the model has the input `{}`, which is missing in the signature", input.name()));
            };
            let kind = kind_of(input)?;
            if is_text(kind) != (column.kind == InputKind::Text) {
                return Err(format!(
                    "the model's input `{}` is {}, in the signature it is {}",
                    input.name(),
                    type_of(input.dtype()),
                    if column.kind == InputKind::Text { "text" } else { "a number" }
                ));
            }
            let shape = input.dtype().tensor_shape();
            if shape.is_some_and(|shape| shape.iter().skip(1).any(|&length| length > 1)) {
                return Err(format!("the model's input `{}` has more than one column", input.name()));
            }
            let rank = shape.map_or(1, |shape| shape.len().max(1));
            columns.push(ColumnInput { name: input.name().to_owned(), kind, rank });
        }
        Ok(Self::Columns(columns))
    }

    /// The input tensors of `frame`'s rows.
    pub(super) fn tensors(&self, frame: &Frame) -> Result<Inputs, PredictError> {
        match self {
            Self::Columns(inputs) => inputs
                .iter()
                .map(|input| {
                    let mut shape = vec![1; input.rank];
                    shape[0] = frame.rows() as i64;
                    let tensor = tensor(frame, std::slice::from_ref(&input.name), input.kind, shape)?;
                    Ok((input.name.clone(), tensor))
                })
                .collect(),
            Self::Matrix { input, names, kind } => {
                let shape = vec![frame.rows() as i64, names.len() as i64];
                Ok(vec![(input.clone(), tensor(frame, names, *kind, shape)?)])
            }
        }
    }
}

fn is_text(kind: TensorElementType) -> bool {
    kind == TensorElementType::String
}

fn is_known(kind: TensorElementType) -> bool {
    use TensorElementType::{Bool, Float32, Float64, Int32, Int64, String};
    matches!(kind, Float32 | Float64 | Int32 | Int64 | Bool | String)
}

/// One tensor of the columns `names`, in row-major order.
fn tensor(
    frame: &Frame,
    names: &[String],
    kind: TensorElementType,
    shape: Vec<i64>,
) -> Result<SessionInputValue<'static>, PredictError> {
    if is_text(kind) {
        let texts = by_row(frame, names, text)?;
        let tensor = Tensor::from_string_array((shape, texts.as_slice()));
        return tensor.map(Into::into).map_err(|error| PredictError::Model(error.to_string()));
    }
    let numbers = by_row(frame, names, number)?;
    let tensor = match kind {
        TensorElementType::Float64 => Tensor::from_array((shape, numbers)).map(SessionInputValue::from),
        TensorElementType::Int64 => Tensor::from_array((shape, integers(&numbers, names)?)).map(Into::into),
        TensorElementType::Int32 => {
            let narrow =
                |value: i64| i32::try_from(value).map_err(|_| unexpected_value(&names.join("`, `"), "of 32 bits"));
            let values = integers(&numbers, names)?.into_iter().map(narrow).collect::<Result<Vec<i32>, _>>()?;
            Tensor::from_array((shape, values)).map(Into::into)
        }
        TensorElementType::Bool => {
            let values: Vec<bool> = integers(&numbers, names)?.into_iter().map(|value| value != 0).collect();
            Tensor::from_array((shape, values)).map(Into::into)
        }
        _ => {
            let values: Vec<f32> = numbers.into_iter().map(|value| value as f32).collect();
            Tensor::from_array((shape, values)).map(Into::into)
        }
    };
    tensor.map_err(|error| PredictError::Model(error.to_string()))
}

fn by_row<T>(
    frame: &Frame,
    names: &[String],
    value: fn(&Column, usize) -> Result<T, &'static str>,
) -> Result<Vec<T>, PredictError> {
    let columns = names
        .iter()
        .map(|name| {
            let column =
                frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))?;
            Ok((name, column))
        })
        .collect::<Result<Vec<_>, PredictError>>()?;
    let mut values = Vec::with_capacity(frame.rows() * columns.len());
    for row in 0..frame.rows() {
        for (name, column) in &columns {
            values.push(value(column, row).map_err(|expected| unexpected_value(name, expected))?);
        }
    }
    Ok(values)
}

/// The number at `row`; NaN when missing.
fn number(column: &Column, row: usize) -> Result<f64, &'static str> {
    match column {
        Column::Number(values) => Ok(values[row]),
        Column::Text(_) if column.is_missing(row) => Ok(f64::NAN),
        Column::Text(_) => Err("a number"),
    }
}

/// The text at `row`; empty when missing.
fn text(column: &Column, row: usize) -> Result<String, &'static str> {
    match column {
        Column::Text(values) => Ok(values.get(row).unwrap_or_default().to_owned()),
        Column::Number(_) if column.is_missing(row) => Ok(String::new()),
        Column::Number(_) => Err("text"),
    }
}

fn integers(numbers: &[f64], names: &[String]) -> Result<Vec<i64>, PredictError> {
    let integer = |&number: &f64| {
        let integer = number as i64;
        if integer as f64 == number { Ok(integer) } else { Err(unexpected_value(&names.join("`, `"), "an integer")) }
    };
    numbers.iter().map(integer).collect()
}

fn unexpected_value(name: &str, expected: &str) -> PredictError {
    PredictError::Input(format!("column `{name}` has a value that is not {expected}"))
}
