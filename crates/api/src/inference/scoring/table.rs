//! Rows as a scoring request sends them, on their way to columns.

use std::borrow::Cow;

use perennial_core::frame::{Column, Frame};
use perennial_core::model::InputKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::Value;

use crate::inference::tensor::{encode, shown};
use crate::limits;

/// One value of a scoring request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Of JSON.
    Json(Value),
    /// Of CSV; an empty field is missing.
    Field(String),
}

/// Columns by name, as they came.
#[derive(Debug, Default, PartialEq)]
pub(in crate::inference) struct Table {
    columns: Vec<(String, Vec<Cell>)>,
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

impl Table {
    /// A table of named columns of one length.
    pub(super) fn new(columns: Vec<(String, Vec<Cell>)>) -> Result<Self> {
        let rows = columns.first().map_or(0, |(_, cells)| cells.len());
        if rows > limits::INFER_ROWS_MAX {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("{rows} rows are sent, at most {} are taken at once", limits::INFER_ROWS_MAX),
            ));
        }
        if columns.len() > limits::INFER_TENSORS_MAX {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("{} columns are sent, at most {} are taken", columns.len(), limits::INFER_TENSORS_MAX),
            ));
        }
        for (place, (name, cells)) in columns.iter().enumerate() {
            if cells.len() != rows {
                return Err(refused(format!(
                    "column `{}` has {} rows, the first has {rows}",
                    shown(name),
                    cells.len()
                )));
            }
            if columns[..place].iter().any(|(other, _)| other == name) {
                return Err(refused(format!("column `{}` is sent twice", shown(name))));
            }
        }
        Ok(Self { columns })
    }

    /// The columns as the inputs that they are; others, keys among them, as they were sent.
    pub(super) fn fit(self, input: impl Fn(&str) -> Option<InputKind>) -> Result<Frame> {
        let mut frame = Frame::new();
        for (name, cells) in self.columns {
            let column = match input(&name) {
                Some(InputKind::Number) => numbers(&name, &cells)?,
                Some(InputKind::Text) => texts(&cells, text),
                None => texts(&cells, sent),
            };
            frame.push(name, column);
        }
        Ok(frame)
    }
}

/// A number; a text that is one counts, a truth value is 0 or 1, null is missing.
fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Json(Value::Null) => Some(f64::NAN),
        Cell::Json(Value::Bool(value)) => Some(f64::from(u8::from(*value))),
        Cell::Json(Value::Number(value)) => value.as_f64(),
        Cell::Json(Value::String(text)) => text.trim().parse().ok(),
        Cell::Field(text) if text.trim().is_empty() => Some(f64::NAN),
        Cell::Field(text) => match text.trim() {
            "true" | "True" | "TRUE" => Some(1.0),
            "false" | "False" | "FALSE" => Some(0.0),
            text => text.parse().ok(),
        },
        Cell::Json(_) => None,
    }
}

fn numbers(name: &str, cells: &[Cell]) -> Result<Column> {
    let read = cells.iter().enumerate().map(|(row, cell)| {
        number(cell).ok_or_else(|| {
            let value = match cell {
                Cell::Json(Value::String(text)) | Cell::Field(text) => text.clone(),
                Cell::Json(value) => value.to_string(),
            };
            Error::new(
                ErrorCode::Signature,
                format!("column `{}` takes numbers, row {row} has `{}`", shown(name), shown(&value)),
            )
        })
    });
    Ok(Column::Number(read.collect::<Result<_>>()?))
}

fn texts(cells: &[Cell], read: impl Fn(&Cell) -> Option<Cow<'_, str>>) -> Column {
    Column::Text(encode(cells.iter().map(read).collect()))
}

fn text(cell: &Cell) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Json(Value::Null) => None,
        Cell::Json(Value::String(text)) => Some(Cow::Borrowed(text)),
        Cell::Json(other) => Some(Cow::Owned(other.to_string())),
        Cell::Field(text) if text.is_empty() => None,
        Cell::Field(text) => Some(Cow::Borrowed(text)),
    }
}

/// Texts and whole numbers by their letters and digits, others as the column of a tensor that holds them is told.
fn sent(cell: &Cell) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Json(Value::Bool(value)) => Some(Cow::Borrowed(if *value { "1" } else { "0" })),
        Cell::Json(Value::Number(value)) if value.is_f64() => value.as_f64().map(|value| Cow::Owned(value.to_string())),
        cell => text(cell),
    }
}
