//! The four JSON forms, and CSV.

use std::borrow::Cow;

use perennial_core::{Error, Result};
use serde_json::{Map, Value};

use super::table::{Cell, Table, TableBuilder, refused};
use crate::inference::data::quote_bare;

/// The keys of which a request has exactly one.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// Reads a JSON body.
pub(in crate::inference) fn read(body: &[u8]) -> Result<Table> {
    let mut object: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(object) => object,
        Err(cause) => {
            let quoted = quote_bare(body).ok_or_else(|| malformed(&cause))?;
            serde_json::from_slice(&quoted).map_err(|cause| malformed(&cause))?
        }
    };
    let mut present = FORMS.into_iter().filter_map(|form| object.remove(form).map(|value| (form, value)));
    let (Some((form, value)), None) = (present.next(), present.next()) else {
        return Err(refused(format!("expected exactly one of: {}", FORMS.join(", "))));
    };
    match (form, value) {
        ("dataframe_split", Value::Object(split)) => from_split(split),
        ("dataframe_split", _) => Err(refused("`dataframe_split` is not an object".to_owned())),
        ("dataframe_records" | "instances" | "inputs", Value::Array(rows)) if rows.is_empty() => {
            Err(refused(format!("`{form}` holds no row")))
        }
        ("dataframe_records", Value::Array(rows)) => from_records(form, rows, true),
        ("instances" | "inputs", Value::Array(rows)) => from_rows(form, rows),
        ("inputs", Value::Object(columns)) => from_columns(columns),
        (form, _) => Err(refused(format!("`{form}` is not an array"))),
    }
}

fn malformed(cause: &serde_json::Error) -> Error {
    refused(format!("cannot parse the body: {cause}"))
        .with_hint("expected an object with `dataframe_split`, `dataframe_records`, `instances` or `inputs`")
}

fn from_split(mut split: Map<String, Value>) -> Result<Table> {
    let Some(Value::Array(rows)) = split.remove("data") else {
        return Err(refused("`dataframe_split` has no array `data`".to_owned()));
    };
    let mut table = TableBuilder::default();
    match split.get("columns") {
        Some(Value::Array(names)) => {
            for name in names {
                table.add_column(&name_of(name))?;
            }
        }
        Some(_) => return Err(refused("`columns` of `dataframe_split` is not an array".to_owned())),
        None => add_numbered(&mut table, rows.first().and_then(Value::as_array).map_or(0, Vec::len))?,
    }
    from_lists("dataframe_split", table, rows)
}

fn name_of(name: &Value) -> Cow<'_, str> {
    name.as_str().map_or_else(|| Cow::Owned(name.to_string()), Cow::Borrowed)
}

/// Adds columns that are named by their position.
fn add_numbered(table: &mut TableBuilder, count: usize) -> Result<()> {
    (0..count).try_for_each(|position| table.add_column(&position.to_string()).map(drop))
}

/// One list a row, in the order of the columns.
fn from_lists(form: &str, mut table: TableBuilder, rows: Vec<Value>) -> Result<Table> {
    for (place, row) in rows.into_iter().enumerate() {
        let Value::Array(cells) = row else { return Err(refused(format!("row {place} of `{form}` is not an array"))) };
        if cells.len() != table.width() {
            return Err(refused(format!(
                "row {place} of `{form}` has {} values, expected {}",
                cells.len(),
                table.width()
            )));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            table.push(column, Cell::Json(cell))?;
        }
    }
    table.finish()
}

/// One object a row. A key that a row lacks is null where `may_lack`, else an error.
fn from_records(form: &str, rows: Vec<Value>, may_lack: bool) -> Result<Table> {
    let mut table = TableBuilder::default();
    let count = rows.len();
    for (place, row) in rows.into_iter().enumerate() {
        let Value::Object(cells) = row else {
            return Err(refused(format!("row {place} of `{form}` is not an object")));
        };
        let width = cells.len();
        for (name, cell) in cells {
            let column = match table.position(&name) {
                Some(column) => column,
                None => table.add_column(&name)?,
            };
            table.pad(column, place)?;
            table.push(column, Cell::Json(cell))?;
        }
        if !may_lack {
            if let Some((name, _)) = table.lengths().find(|(_, length)| *length <= place) {
                return Err(refused(format!("row {place} of `{form}` lacks `{}`", name.escape_debug())));
            }
            if table.width() != width {
                return Err(refused(format!("row {place} of `{form}` has other keys than the first")));
            }
        }
    }
    for column in 0..table.width() {
        table.pad(column, count)?;
    }
    table.finish()
}

/// Objects, lists or single values.
fn from_rows(form: &str, rows: Vec<Value>) -> Result<Table> {
    let mut table = TableBuilder::default();
    match rows.first() {
        Some(Value::Object(_)) => from_records(form, rows, false),
        Some(Value::Array(first)) => {
            add_numbered(&mut table, first.len())?;
            from_lists(form, table, rows)
        }
        _ => {
            let column = table.add_column("0")?;
            rows.into_iter().try_for_each(|cell| table.push(column, Cell::Json(cell)))?;
            table.finish()
        }
    }
}

/// A list a column; `[n, 1]` nested as it may be.
fn from_columns(columns: Map<String, Value>) -> Result<Table> {
    let mut table = TableBuilder::default();
    for (name, values) in columns {
        let Value::Array(values) = values else {
            return Err(refused(format!("`inputs` has for `{}` no array", name.escape_debug())));
        };
        let column = table.add_column(&name)?;
        for value in values {
            table.push(column, Cell::Json(unnest(value)))?;
        }
    }
    table.finish()
}

/// The value of a list of one, else the value itself.
fn unnest(value: Value) -> Value {
    match value {
        Value::Array(mut one) if one.len() == 1 => one.swap_remove(0),
        value => value,
    }
}

/// Reads CSV with a header row.
pub(in crate::inference) fn read_csv(body: &[u8]) -> Result<Table> {
    let mut reader = csv::ReaderBuilder::new().from_reader(body);
    let malformed = |cause: csv::Error| refused(format!("cannot parse the CSV: {cause}"));
    let mut table = TableBuilder::default();
    for name in reader.headers().map_err(malformed)? {
        table.add_column(name)?;
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(malformed)? {
        for (column, field) in record.iter().enumerate() {
            table.push(column, Cell::Field(field.to_owned()))?;
        }
    }
    table.finish()
}
