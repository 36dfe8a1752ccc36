//! JSON lines: one object per line; a missing member is null.
//!
//! serde_json validates each line and splits it into the texts of its members, without a map per row; scalars, also those
//! in lists and structs, are then parsed like fields of CSV. arrow-json only infers the types of nested values: it
//! accepts lines that are not JSON (without commas, or with several objects), and truncates numbers to integers.

mod column;
mod lines;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::json::reader::infer_json_schema_from_iterator;
use serde_json::{Map, Number, Value};

use super::infer::InferredType;
use super::{BATCH_ROWS, BatchSink, LocalFile, Origin, SourceBatch, prefer_known, text};
use crate::convert::assemble;
use crate::error::{Error, Result, one_line};
use crate::types::{canonical, validate_names};
use column::{JsonColumn, unquoted};
use lines::Lines;

/// A batch with so many bytes of lines is complete, so that the offsets of its columns never exceed 32 bits.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// The columns of the files: members in order of first appearance, types from the dataset where known, else inferred from
/// all rows.
pub(crate) fn infer_schema(files: &[LocalFile], known: Option<&SchemaRef>) -> Result<SchemaRef> {
    let mut inference = SchemaInference::default();
    for file in files {
        inference.observe(file.open()?, &file.label, known)?;
    }
    inference.finish(files.first().map_or("the files", |file| &file.label), known)
}

/// The columns of lines in memory.
pub(crate) fn infer_schema_of_bytes(bytes: &[u8], label: &Arc<str>, known: Option<&SchemaRef>) -> Result<SchemaRef> {
    let mut inference = SchemaInference::default();
    inference.observe(bytes, label, known)?;
    inference.finish(label, known)
}

/// Reads rows as batches of `schema`; a member without a column is an error.
pub(crate) fn read(source: impl Read, label: &Arc<str>, schema: &SchemaRef, sink: &mut BatchSink<'_>) -> Result<()> {
    let mut lines = Lines::new(source, label);
    let names = schema.fields().iter().enumerate().map(|(index, field)| (field.name().as_str(), index));
    let names: HashMap<&str, usize> = names.collect();
    let mut columns: Vec<JsonColumn> = schema.fields().iter().map(|field| JsonColumn::new(field.data_type())).collect();
    let (mut numbers, mut bytes) = (Vec::with_capacity(BATCH_ROWS), 0);
    loop {
        let has_row = lines.advance()?;
        if has_row {
            push_row(&lines, &names, schema, &mut columns)?;
            numbers.push(lines.number());
            bytes += lines.bytes();
        }
        if numbers.len() == BATCH_ROWS || bytes >= BATCH_BYTES_MAX || (!has_row && !numbers.is_empty()) {
            let count = numbers.len();
            bytes = 0;
            let origin = Origin::lines(label, std::mem::take(&mut numbers));
            let arrays = columns.iter_mut().map(JsonColumn::finish).collect::<Result<Vec<_>>>()?;
            sink(SourceBatch { batch: assemble(schema, arrays, count)?, origin })?;
        }
        if !has_row {
            return Ok(());
        }
    }
}

/// Appends the members of a line to the columns of their names. Of repeated members the last counts.
fn push_row(
    line: &Lines<impl Read>,
    names: &HashMap<&str, usize>,
    schema: &SchemaRef,
    columns: &mut [JsonColumn],
) -> Result<()> {
    let mut values: Vec<&str> = vec!["null"; columns.len()];
    let mut unknown = None;
    line.members(|name, value| match names.get(&*name) {
        Some(index) => values[*index] = value,
        None => unknown = unknown.take().or(Some(name)),
    })?;
    if let Some(name) = unknown {
        let message = format!("{}: the other rows of the load have no column `{name}`", line.position());
        return Err(Error::source_file(message));
    }
    for ((column, field), value) in columns.iter_mut().zip(schema.fields()).zip(values) {
        column.push(value).ok_or_else(|| mismatch(&line.position(), field, value))?;
    }
    Ok(())
}

/// The error about a value, given as JSON text, that is not of the column's type.
fn mismatch(position: &str, field: &Field, value: &str) -> Error {
    let (shown, expected) = (shown(value), text::expected(field.data_type()));
    Error::source_file(format!("{position}: column `{}` is `{shown}`, expected {expected}", field.name()))
}

/// The error about a value that no column can have: a number beyond a double, or half of a surrogate pair.
fn invalid(position: &str, name: &str, value: &str) -> Error {
    Error::source_file(format!("{position}: column `{name}` is `{}`, expected a valid value", shown(value)))
}

/// The start of a value, for messages.
fn shown(value: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    value.chars().take(CHARACTERS_MAX).collect()
}

/// The types of the members of all rows.
#[derive(Default)]
struct SchemaInference {
    /// Rows observed.
    rows: u64,
    names: HashMap<String, usize>,
    /// The columns, in order of first appearance.
    columns: Vec<InferredColumn>,
}

struct InferredColumn {
    name: String,
    /// Whether the dataset has a type for it.
    is_known: bool,
    /// The number of the last row with a value.
    last_row: u64,
    scalar: InferredType,
    /// Lists and objects, one per line.
    nested: String,
}

impl SchemaInference {
    fn observe(&mut self, source: impl Read, label: &Arc<str>, known: Option<&SchemaRef>) -> Result<()> {
        let mut lines = Lines::new(source, label);
        while lines.advance()? {
            self.rows += 1;
            let mut members = Vec::with_capacity(self.columns.len());
            lines.members(|name, value| members.push((self.index_of(name, known), value)))?;
            // Of repeated members the last counts.
            for (index, value) in members.into_iter().rev() {
                let column = &mut self.columns[index];
                if !column.is_known && column.last_row != self.rows {
                    column.last_row = self.rows;
                    column.observe(value).ok_or_else(|| invalid(&lines.position(), &column.name, value))?;
                }
            }
        }
        Ok(())
    }

    /// The index of a column, which is added at its first appearance.
    fn index_of(&mut self, name: Cow<'_, str>, known: Option<&SchemaRef>) -> usize {
        match self.names.get(&*name) {
            Some(index) => *index,
            None => {
                let name = name.into_owned();
                let is_known = known.is_some_and(|schema| schema.field_with_name(&name).is_ok());
                let (scalar, nested) = (InferredType::default(), String::new());
                self.names.insert(name.clone(), self.columns.len());
                self.columns.push(InferredColumn { name, is_known, last_row: 0, scalar, nested });
                self.columns.len() - 1
            }
        }
    }

    fn finish(self, label: &str, known: Option<&SchemaRef>) -> Result<SchemaRef> {
        validate_names(label, &self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())?;
        let kinds = self.columns.into_iter().map(|column| column.finish(label)).collect::<Result<Vec<_>>>()?;
        Ok(prefer_known(&kinds, known))
    }
}

impl InferredColumn {
    /// Observes a value, given as JSON text; `None` when no column can have it.
    fn observe(&mut self, value: &str) -> Option<()> {
        let observed = match value.as_bytes() {
            [b'n', ..] => return Some(()),
            [b't' | b'f', ..] => InferredType::Bool,
            [b'[' | b'{', ..] => {
                self.nested.push_str(value);
                self.nested.push('\n');
                return Some(());
            }
            [b'"', ..] => self.observe_string(&unquoted(value)?),
            _ if serde_json::from_str::<Number>(value).ok()?.is_i64() => InferredType::Int,
            _ => InferredType::Float,
        };
        self.scalar = self.scalar.join(observed);
        Some(())
    }

    /// The type of a string. A string of digits is text; only dates and timestamps have no other form in JSON.
    fn observe_string(&self, text: &str) -> InferredType {
        // A column of text stays one whatever its values are.
        if self.scalar == InferredType::Text {
            return InferredType::Text;
        }
        match InferredType::of(text) {
            kind @ (InferredType::Date | InferredType::Timestamp) => kind,
            _ => InferredType::Text,
        }
    }

    /// The column's name and type; no type when all values are null.
    fn finish(self, label: &str) -> Result<(String, Option<DataType>)> {
        let kind = match (self.nested.is_empty(), self.scalar) {
            (true, scalar) => scalar.kind(),
            (false, InferredType::Unknown) => Some(nested_kind(label, &self.name, &self.nested)?),
            (false, _) => {
                let message = format!("{label}: column `{}` has both scalars and nested values", self.name);
                return Err(Error::source_file(message));
            }
        };
        Ok((self.name, kind))
    }
}

/// The common type of nested values, one per line.
fn nested_kind(label: &str, name: &str, values: &str) -> Result<DataType> {
    let invalid = |cause: String| {
        Error::source_file(format!("{label}: column `{name}` has values without a common type: {}", one_line(&cause)))
    };
    let mut failed = None;
    let rows = values.lines().map_while(|value| match serde_json::from_str::<Value>(value) {
        Ok(value) => Some(Ok(Value::Object(Map::from_iter([(name.to_owned(), value)])))),
        Err(cause) => {
            failed = Some(cause.to_string());
            None
        }
    });
    let schema = infer_json_schema_from_iterator(rows).map_err(|cause| invalid(cause.to_string()))?;
    if let Some(cause) = failed {
        return Err(invalid(cause));
    }
    canonical(schema.field(0).data_type())
        .ok_or_else(|| Error::source_file(format!("{label}: column `{name}` has values of an unsupported type")))
}

#[cfg(test)]
mod tests;
