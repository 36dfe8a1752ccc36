//! Rows as a scoring request sends them, on their way to columns.

use std::borrow::Cow;
use std::collections::HashMap;

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

/// A table that grows by columns, rows and cells. It refuses the first one beyond a limit, so that its size is bounded at
/// any moment, also where a short body has cells in few columns of many.
#[derive(Debug, Default)]
pub(super) struct TableBuilder {
    columns: Vec<(String, Vec<Cell>)>,
    positions: HashMap<String, usize>,
    cells: usize,
}

impl TableBuilder {
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
    pub(super) fn push(&mut self, position: usize, cell: Cell) -> Result<()> {
        self.reserve(position, 1)?;
        self.columns[position].1.push(cell);
        Ok(())
    }

    /// Adds missing values to the column at `position` until it has `rows` cells.
    pub(super) fn pad(&mut self, position: usize, rows: usize) -> Result<()> {
        let absent = rows.saturating_sub(self.columns[position].1.len());
        self.reserve(position, absent)?;
        self.columns[position].1.extend(std::iter::repeat_n(Cell::Json(Value::Null), absent));
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
    pub(super) fn finish(self) -> Result<Table> {
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

impl Table {
    /// The columns as the inputs that they are; others, keys among them, as they were sent.
    pub(super) fn fit(self, input: impl Fn(&str) -> Option<InputKind>) -> Result<Frame> {
        let mut frame = Frame::new();
        for (name, cells) in self.columns {
            let column = match input(&name) {
                Some(InputKind::Number) => numbers(&name, &cells)?,
                Some(InputKind::Text) => texts(&cells, text),
                None => texts(&cells, key_text),
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

/// A text or a whole number as written; a boolean as `1` or `0`, and a number with a fraction as its shortest decimal,
/// like the values of a tensor.
fn key_text(cell: &Cell) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Json(Value::Bool(value)) => Some(Cow::Borrowed(if *value { "1" } else { "0" })),
        Cell::Json(Value::Number(value)) if value.is_f64() => value.as_f64().map(|value| Cow::Owned(value.to_string())),
        cell => text(cell),
    }
}

#[cfg(test)]
mod tests;
