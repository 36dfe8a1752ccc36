//! The four JSON forms, and CSV.

use std::borrow::Cow;

use perennial_core::csv_quotes::QuoteChecker;
use perennial_core::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::table::{Cell, Table, TableBuilder, refused};
use crate::inference::data::quote_bare;
use crate::json::Json;

/// The keys of which a request has exactly one.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// The values of the forms; other keys are ignored.
#[derive(Deserialize)]
struct Forms<'a> {
    #[serde(borrow)]
    dataframe_split: Option<&'a RawValue>,
    #[serde(borrow)]
    dataframe_records: Option<&'a RawValue>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
}

/// A JSON body whose syntax is that of JSON: the bare words of numbers that JSON lacks are quoted.
pub(in crate::inference) fn quoted(body: &[u8]) -> Result<Cow<'_, [u8]>> {
    let Err(cause) = Json::parse(body) else { return Ok(Cow::Borrowed(body)) };
    quote_bare(body).map(Cow::Owned).ok_or_else(|| malformed(&cause))
}

/// Reads a JSON body that was [`quoted`]. The table borrows its texts from the body.
pub(in crate::inference) fn read(body: &[u8]) -> Result<Table<'_>> {
    let forms: Forms<'_> = serde_json::from_slice(body).map_err(|cause| malformed(&cause))?;
    let values = [forms.dataframe_split, forms.dataframe_records, forms.instances, forms.inputs];
    let mut present = FORMS.into_iter().zip(values).filter_map(|(form, value)| Some((form, Json::from(value?))));
    let (Some((form, value)), None) = (present.next(), present.next()) else {
        return Err(refused(format!("expected exactly one of: {}", FORMS.join(", "))));
    };
    match form {
        "dataframe_split" if value.is_object() => from_split(value),
        "dataframe_split" => Err(refused("`dataframe_split` is not an object".to_owned())),
        "inputs" if value.is_object() => from_columns(value),
        form if !value.is_list() => Err(refused(format!("`{form}` is not an array"))),
        "dataframe_records" => from_records(form, value, true),
        form => from_rows(form, value),
    }
}

fn malformed(cause: &serde_json::Error) -> Error {
    refused(format!("cannot parse the body: {cause}"))
        .with_hint("expected an object with `dataframe_split`, `dataframe_records`, `instances` or `inputs`")
}

/// The parts of a data frame; its index is ignored.
#[derive(Deserialize)]
struct Split<'a> {
    #[serde(borrow)]
    columns: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn from_split(split: Json<'_>) -> Result<Table<'_>> {
    let Split { columns, data } = serde_json::from_str(split.as_str()).map_err(|cause| malformed(&cause))?;
    let Some(rows) = data.map(Json::from).filter(|data| data.is_list()) else {
        return Err(refused("`dataframe_split` has no array `data`".to_owned()));
    };
    let mut table = TableBuilder::default();
    match columns.map(Json::from) {
        Some(names) if names.is_list() => names.items(|name| table.add_column(&name_of(name)).map(drop))?,
        Some(_) => return Err(refused("`columns` of `dataframe_split` is not an array".to_owned())),
        None => add_numbered(&mut table, rows.first())?,
    }
    from_lists("dataframe_split", table, rows)
}

fn name_of(name: Json<'_>) -> Cow<'_, str> {
    name.text().unwrap_or(Cow::Borrowed(name.as_str()))
}

/// Adds columns that are named by their position: as many as the first row has values.
fn add_numbered(table: &mut TableBuilder<'_>, first: Option<Json<'_>>) -> Result<()> {
    let Some(first) = first.filter(|first| first.is_list()) else { return Ok(()) };
    first.items(|_| table.add_column(&table.width().to_string()).map(drop))
}

/// One list a row, in the order of the columns.
fn from_lists<'a>(form: &str, mut table: TableBuilder<'a>, rows: Json<'a>) -> Result<Table<'a>> {
    let mut place = 0;
    rows.items(|row| {
        if !row.is_list() {
            return Err(refused(format!("row {place} of `{form}` is not an array")));
        }
        let (width, mut column) = (table.width(), 0);
        row.items(|cell| {
            if column < width {
                table.push(column, Cell::from(cell))?;
            }
            column += 1;
            Ok(())
        })?;
        if column != width {
            return Err(refused(format!("row {place} of `{form}` has {column} values, expected {width}")));
        }
        place += 1;
        Ok(())
    })?;
    table.finish()
}

/// One object a row. A key that a row lacks is null where `may_lack`, else an error.
fn from_records<'a>(form: &str, rows: Json<'a>, may_lack: bool) -> Result<Table<'a>> {
    let (mut table, mut place) = (TableBuilder::default(), 0);
    rows.items(|row| {
        if !row.is_object() {
            return Err(refused(format!("row {place} of `{form}` is not an object")));
        }
        let mut width = 0;
        row.entries(|name, cell| {
            width += 1;
            let column = match table.position(&name) {
                Some(column) => column,
                None => table.add_column(&name)?,
            };
            table.pad(column, place)?;
            table.push(column, Cell::from(cell))
        })?;
        if !may_lack {
            if let Some((name, _)) = table.lengths().find(|(_, length)| *length <= place) {
                return Err(refused(format!("row {place} of `{form}` lacks `{}`", name.escape_debug())));
            }
            if table.width() != width {
                return Err(refused(format!("row {place} of `{form}` has other keys than the first")));
            }
        }
        place += 1;
        Ok(())
    })?;
    if place == 0 {
        return Err(no_row(form));
    }
    for column in 0..table.width() {
        table.pad(column, place)?;
    }
    table.finish()
}

/// Objects, lists or single values.
fn from_rows<'a>(form: &str, rows: Json<'a>) -> Result<Table<'a>> {
    let Some(first) = rows.first() else { return Err(no_row(form)) };
    let mut table = TableBuilder::default();
    if first.is_object() {
        return from_records(form, rows, false);
    }
    if first.is_list() {
        add_numbered(&mut table, Some(first))?;
        return from_lists(form, table, rows);
    }
    let column = table.add_column("0")?;
    rows.items(|cell| table.push(column, Cell::from(cell)))?;
    table.finish()
}

fn no_row(form: &str) -> Error {
    refused(format!("`{form}` holds no row"))
}

/// A list a column; `[n, 1]` nested as it may be.
fn from_columns(columns: Json<'_>) -> Result<Table<'_>> {
    let mut table = TableBuilder::default();
    columns.entries(|name, values| {
        if !values.is_list() {
            return Err(refused(format!("`inputs` has for `{}` no array", name.escape_debug())));
        }
        let column = table.add_column(&name)?;
        values.items(|value| table.push(column, Cell::from(unnest(value)?)))
    })?;
    table.finish()
}

/// The value of a list of one, else the value itself.
fn unnest(value: Json<'_>) -> Result<Json<'_>> {
    if !value.is_list() {
        return Ok(value);
    }
    let (mut only, mut count) = (value, 0);
    value.items(|item| {
        (only, count) = (item, count + 1);
        Ok(())
    })?;
    Ok(if count == 1 { only } else { value })
}

/// Reads CSV with a header row.
pub(in crate::inference) fn read_csv(body: &[u8]) -> Result<Table<'static>> {
    let mut quotes = QuoteChecker::default();
    quotes
        .check(body)
        .and_then(|()| quotes.check_end())
        .map_err(|fault| refused(format!("cannot parse the CSV: {fault}")).with_hint(fault.hint()))?;
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
