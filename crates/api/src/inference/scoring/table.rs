//! Converts the rows of a scoring request to columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use perennial_core::frame::{Column, Frame, is_exact, parse_number};
use perennial_core::model::{Input, InputKind};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::Number;

use crate::inference::data::Scalar;
use crate::inference::tensor::{encode, shown};
use crate::json::Json;
use crate::limits;

/// One value of a scoring request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// Of JSON.
    Json(Scalar<'a>),
    /// A list or object of JSON, as it was sent.
    Nested(&'a str),
    /// Of CSV; an empty field is missing.
    Field(String),
}

impl<'a> From<Json<'a>> for Cell<'a> {
    fn from(value: Json<'a>) -> Self {
        let scalar = match (value.text(), value.boolean()) {
            (Some(text), _) => Some(Scalar::Text(text)),
            (None, Some(claim)) => Some(Scalar::Bool(claim)),
            (None, None) if value.is_null() => Some(Scalar::Null),
            // A key beyond 64 bits keeps its digits.
            (None, None) if is_long_integer(value.as_str()) => Some(Scalar::Text(Cow::Borrowed(value.as_str()))),
            (None, None) => value.number().and_then(|number| {
                let whole = number.as_i64().map(Scalar::Int).or_else(|| number.as_u64().map(Scalar::Uint));
                whole.or_else(|| number.as_f64().map(Scalar::Float))
            }),
        };
        scalar.map_or(Self::Nested(value.as_str()), Self::Json)
    }
}

/// Whether the text of a number is an integer that neither `i64` nor `u64` holds.
fn is_long_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// Columns by name, with the values as they were sent.
#[derive(Debug, Default, PartialEq)]
pub(in crate::inference) struct Table<'a> {
    columns: Vec<(String, Vec<Cell<'a>>)>,
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// A table that grows by columns, rows and cells. It refuses the first one beyond a limit, so that its size is bounded at
/// any moment, also where a short body has cells in few columns of many.
#[derive(Debug, Default)]
pub(super) struct TableBuilder<'a> {
    columns: Vec<(String, Vec<Cell<'a>>)>,
    positions: HashMap<String, usize>,
    cells: usize,
}

impl<'a> TableBuilder<'a> {
    /// Adds an empty column; its position. Refuses one beyond [`limits::INFER_TENSORS_MAX`] and one of a known name.
    pub(super) fn add_column(&mut self, name: &str) -> Result<usize> {
        let position = self.columns.len();
        if position == limits::INFER_TENSORS_MAX {
            return Err(over("columns", position));
        }
        if self.positions.insert(name.to_owned(), position).is_some() {
            return Err(refused(format!("column `{}` is sent twice", shown(name))));
        }
        self.columns.push((name.to_owned(), Vec::new()));
        Ok(position)
    }

    /// The position of the column of a name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Names and lengths of the columns, in order.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.columns.iter().map(|(name, cells)| (name.as_str(), cells.len()))
    }

    /// Adds a cell to the column at `position`.
    pub(super) fn push(&mut self, position: usize, cell: Cell<'a>) -> Result<()> {
        self.reserve(position, 1)?;
        self.columns[position].1.push(cell);
        Ok(())
    }

    /// Adds missing values to the column at `position` until it has `rows` cells.
    pub(super) fn pad(&mut self, position: usize, rows: usize) -> Result<()> {
        let absent = rows.saturating_sub(self.columns[position].1.len());
        self.reserve(position, absent)?;
        self.columns[position].1.extend(std::iter::repeat_n(Cell::Json(Scalar::Null), absent));
        Ok(())
    }

    /// Counts further cells of a column, before they take memory.
    fn reserve(&mut self, position: usize, cells: usize) -> Result<()> {
        if self.columns[position].1.len() + cells > limits::INFER_ROWS_MAX {
            return Err(over("rows", limits::INFER_ROWS_MAX));
        }
        if self.cells + cells > limits::INFER_CELLS_MAX {
            return Err(over("cells", limits::INFER_CELLS_MAX));
        }
        self.cells += cells;
        Ok(())
    }

    /// The table, when all columns have one length.
    pub(super) fn finish(self) -> Result<Table<'a>> {
        let rows = self.columns.first().map_or(0, |(_, cells)| cells.len());
        if let Some((name, cells)) = self.columns.iter().find(|(_, cells)| cells.len() != rows) {
            let message = format!("column `{}` has {} rows, the first has {rows}", shown(name), cells.len());
            return Err(refused(message));
        }
        Ok(Table { columns: self.columns })
    }
}

/// The error of a request with more than `limit` of `things`.
fn over(things: &str, limit: usize) -> Error {
    Error::new(ErrorCode::TooLarge, format!("the request has more than {limit} {things}"))
        .with_hint("send the rows in several requests")
}

impl Table<'_> {
    /// The columns as the inputs that they are; others, keys among them, as they were sent.
    pub(super) fn fit<'i>(self, input: impl Fn(&str) -> Option<&'i Input>) -> Result<Frame> {
        let mut frame = Frame::new();
        for (name, cells) in self.columns {
            let column = match input(&name).map(|input| (input.kind, input.time)) {
                Some((InputKind::Number, Some(_))) => times(&name, &cells)?,
                Some((InputKind::Number, None)) => numbers(&name, &cells)?,
                Some((InputKind::Text, _)) => texts(&cells, text),
                None => texts(&cells, key_text),
            };
            frame.push(name, column);
        }
        Ok(frame)
    }
}

/// A number; a text that is one counts, a truth value is 0 or 1, null is missing. An integer that a double does not hold
/// exactly is none.
fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Json(Scalar::Null) => Some(f64::NAN),
        Cell::Json(Scalar::Bool(value)) => Some(f64::from(u8::from(*value))),
        Cell::Json(Scalar::Int(value)) => is_exact((*value).into()).then_some(*value as f64),
        Cell::Json(Scalar::Uint(value)) => is_exact((*value).into()).then_some(*value as f64),
        Cell::Json(Scalar::Float(value)) => Some(*value),
        Cell::Json(Scalar::Text(text)) => parse_number(text.trim()),
        Cell::Field(text) if text.trim().is_empty() => Some(f64::NAN),
        Cell::Field(text) => match text.trim() {
            "true" | "True" | "TRUE" => Some(1.0),
            "false" | "False" | "FALSE" => Some(0.0),
            text => parse_number(text),
        },
        Cell::Nested(_) => None,
    }
}

fn numbers(name: &str, cells: &[Cell<'_>]) -> Result<Column> {
    let read = cells.iter().enumerate().map(|(row, cell)| {
        number(cell).ok_or_else(|| {
            let value = text(cell).unwrap_or(Cow::Borrowed("null"));
            let is_integer = value.trim().parse::<i128>().is_ok();
            let wanted = if is_integer { "numbers that a double holds exactly" } else { "numbers" };
            misfit(name, format_args!("{wanted}, row {row} has `{}`", shown(&value)))
        })
    });
    Ok(Column::Number(read.collect::<Result<_>>()?))
}

/// Days and instants: epoch seconds as numbers of JSON, or texts, which are parsed with the version that answers. A field of
/// CSV is a text.
fn times(name: &str, cells: &[Cell<'_>]) -> Result<Column> {
    let is_number = |cell: &Cell<'_>| matches!(cell, Cell::Json(Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_)));
    let mut present = cells.iter().filter(|cell| text(cell).is_some());
    match present.clone().any(is_number) {
        false => Ok(texts(cells, key_text)),
        true if present.all(is_number) => numbers(name, cells),
        true => Err(misfit(name, format_args!("times as texts or as numbers, not both"))),
    }
}

/// The error about a column that does not have what its input takes.
fn misfit(name: &str, wanted: fmt::Arguments<'_>) -> Error {
    Error::new(ErrorCode::Signature, format!("column `{}` takes {wanted}", shown(name)))
}

fn texts<'c>(cells: &'c [Cell<'_>], read: impl Fn(&'c Cell<'_>) -> Option<Cow<'c, str>>) -> Column {
    Column::Text(encode(cells.iter().map(read).collect()))
}

fn text<'c>(cell: &'c Cell<'_>) -> Option<Cow<'c, str>> {
    match cell {
        Cell::Json(Scalar::Null) => None,
        Cell::Json(Scalar::Bool(value)) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Cell::Json(Scalar::Int(value)) => Some(Cow::Owned(value.to_string())),
        Cell::Json(Scalar::Uint(value)) => Some(Cow::Owned(value.to_string())),
        Cell::Json(Scalar::Float(value)) => Number::from_f64(*value).map(|number| Cow::Owned(number.to_string())),
        Cell::Json(Scalar::Text(text)) => Some(Cow::Borrowed(text)),
        Cell::Nested(json) => Some(Cow::Borrowed(json)),
        Cell::Field(text) if text.is_empty() => None,
        Cell::Field(text) => Some(Cow::Borrowed(text)),
    }
}

/// A text or a whole number as written; a boolean as `1` or `0`, and a number with a fraction as its shortest decimal,
/// like the values of a tensor.
fn key_text<'c>(cell: &'c Cell<'_>) -> Option<Cow<'c, str>> {
    match cell {
        Cell::Json(Scalar::Bool(value)) => Some(Cow::Borrowed(if *value { "1" } else { "0" })),
        Cell::Json(Scalar::Float(value)) => Some(Cow::Owned(value.to_string())),
        cell => text(cell),
    }
}

#[cfg(test)]
mod tests;
