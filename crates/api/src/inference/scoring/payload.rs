//! The four JSON forms, and CSV.

use perennial_core::{Error, Result};
use serde_json::{Map, Value};

use super::table::{Cell, Table, refused};
use crate::inference::data::quote_bare;

/// The keys of which a request has exactly one.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// Reads a JSON body.
pub(in crate::inference) fn read(body: &[u8]) -> Result<Table> {
    let object: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(object) => object,
        Err(cause) => {
            let quoted = quote_bare(body).ok_or_else(|| malformed(&cause))?;
            serde_json::from_slice(&quoted).map_err(|cause| malformed(&cause))?
        }
    };
    let mut present = FORMS.into_iter().filter(|form| object.contains_key(*form));
    let (Some(form), None) = (present.next(), present.next()) else {
        return Err(refused(format!("expected exactly one of: {}", FORMS.join(", "))));
    };
    match (form, &object[form]) {
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

fn from_split(split: &Map<String, Value>) -> Result<Table> {
    let Some(Value::Array(rows)) = split.get("data") else {
        return Err(refused("`dataframe_split` has no array `data`".to_owned()));
    };
    let names = match split.get("columns") {
        Some(Value::Array(names)) => names.iter().map(name_of).collect(),
        Some(_) => return Err(refused("`columns` of `dataframe_split` is not an array".to_owned())),
        None => numbered(rows.first().and_then(Value::as_array).map_or(0, Vec::len)),
    };
    from_lists("dataframe_split", names, rows)
}

fn name_of(name: &Value) -> String {
    name.as_str().map_or_else(|| name.to_string(), str::to_owned)
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|place| place.to_string()).collect()
}

fn from_lists(form: &str, names: Vec<String>, rows: &[Value]) -> Result<Table> {
    let mut columns: Vec<(String, Vec<Cell>)> =
        names.into_iter().map(|name| (name, Vec::with_capacity(rows.len()))).collect();
    for (place, row) in rows.iter().enumerate() {
        let Value::Array(cells) = row else { return Err(refused(format!("row {place} of `{form}` is not an array"))) };
        if cells.len() != columns.len() {
            return Err(refused(format!(
                "row {place} of `{form}` has {} values, expected {}",
                cells.len(),
                columns.len()
            )));
        }
        for ((_, column), cell) in columns.iter_mut().zip(cells) {
            column.push(Cell::Json(cell.clone()));
        }
    }
    Table::new(columns)
}

/// One object a row. A key that a row lacks is null where `may_lack`, else an error.
fn from_records(form: &str, rows: &[Value], may_lack: bool) -> Result<Table> {
    let mut columns: Vec<(String, Vec<Cell>)> = Vec::new();
    let mut places: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        let Value::Object(cells) = row else {
            return Err(refused(format!("row {place} of `{form}` is not an object")));
        };
        for (name, cell) in cells {
            let column = *places.entry(name).or_insert_with(|| {
                columns.push((name.clone(), vec![Cell::Json(Value::Null); place]));
                columns.len() - 1
            });
            columns[column].1.push(Cell::Json(cell.clone()));
        }
        for (name, column) in &mut columns {
            if column.len() == place {
                if !may_lack {
                    return Err(refused(format!("row {place} of `{form}` lacks `{}`", name.escape_debug())));
                }
                column.push(Cell::Json(Value::Null));
            }
        }
        if !may_lack && columns.len() != cells.len() {
            return Err(refused(format!("row {place} of `{form}` has other keys than the first")));
        }
    }
    Table::new(columns)
}

/// Objects, lists or single values.
fn from_rows(form: &str, rows: &[Value]) -> Result<Table> {
    match rows.first() {
        Some(Value::Object(_)) => from_records(form, rows, false),
        Some(Value::Array(first)) => from_lists(form, numbered(first.len()), rows),
        _ => Table::new(vec![("0".to_owned(), rows.iter().cloned().map(Cell::Json).collect())]),
    }
}

/// A list a column; `[n, 1]` nested as it may be.
fn from_columns(columns: &Map<String, Value>) -> Result<Table> {
    let read = columns.iter().map(|(name, values)| {
        let cells = match values {
            Value::Array(values) => values.iter().map(|value| match value {
                Value::Array(one) if one.len() == 1 => Cell::Json(one[0].clone()),
                value => Cell::Json(value.clone()),
            }),
            _ => return Err(refused(format!("`inputs` has for `{}` no array", name.escape_debug()))),
        };
        Ok((name.clone(), cells.collect()))
    });
    Table::new(read.collect::<Result<_>>()?)
}

/// Reads CSV with a header row.
pub(in crate::inference) fn read_csv(body: &[u8]) -> Result<Table> {
    let mut reader = csv::ReaderBuilder::new().from_reader(body);
    let malformed = |cause: csv::Error| refused(format!("cannot parse the CSV: {cause}"));
    let names = reader.headers().map_err(malformed)?.clone();
    let mut columns: Vec<(String, Vec<Cell>)> = names.iter().map(|name| (name.to_owned(), Vec::new())).collect();
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        for ((_, column), field) in columns.iter_mut().zip(&record) {
            column.push(Cell::Field(field.to_owned()));
        }
    }
    Table::new(columns)
}
