//! JSON lines: one object per line; a missing member is null.
//!
//! serde_json validates each line and splits it into the texts of its members, without a map per row; scalars, also those
//! in lists and structs, are then parsed like fields of CSV. Neither arrow-json's reader nor its inference is used: it
//! accepts lines that are not JSON (without commas, or with several objects), truncates numbers to integers, makes floats
//! of unsigned integers, and needs the values of all rows in memory.

mod column;
mod lines;
mod shape;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};

use super::zone::LocalTimes;
use super::{BATCH_ROWS, BatchSink, BatchSize, Inferred, LocalFile, SourceBatch, prefer_known, text};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::{COLUMNS_MAX, validate_names};
use column::{JsonColumn, ValueBudget};
use lines::Lines;
use shape::{Budget, Shape, Unfit};

/// The most values of one line, nulls and those in lists and objects among them. Three bytes of text may be a value, and a
/// value may take a hundred bytes of memory.
const LINE_VALUES_MAX: usize = 1 << 20;

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
pub(crate) fn read(
    source: impl Read,
    label: &Arc<str>,
    schema: &SchemaRef,
    times: &LocalTimes,
    sink: &mut BatchSink<'_>,
) -> Result<()> {
    let mut lines = Lines::new(source, label);
    let names = schema.fields().iter().enumerate().map(|(index, field)| (field.name().as_str(), index));
    let names: HashMap<&str, usize> = names.collect();
    let column = |field: &Arc<Field>| JsonColumn::new(field.data_type(), &times.column(field.name()));
    let mut columns: Vec<JsonColumn> = schema.fields().iter().map(column).collect();
    let (mut numbers, mut size) = (Vec::with_capacity(BATCH_ROWS), BatchSize::default());
    loop {
        let has_row = lines.advance()?;
        if has_row {
            let values = push_row(&lines, &names, schema, &mut columns)?;
            numbers.push(lines.number());
            size.add(lines.bytes(), values);
        }
        if size.is_complete() || (!has_row && !numbers.is_empty()) {
            let count = numbers.len();
            size = BatchSize::default();
            let origin = Origin::lines(label, std::mem::take(&mut numbers));
            let arrays = columns.iter_mut().map(JsonColumn::finish).collect::<Result<Vec<_>>>()?;
            sink(SourceBatch { batch: assemble(schema, arrays, count)?, origin })?;
        }
        if !has_row {
            return Ok(());
        }
    }
}

/// Appends the members of a line to the columns of their names; returns the number of values. Of repeated members the
/// last counts.
fn push_row(
    line: &Lines<impl Read>,
    names: &HashMap<&str, usize>,
    schema: &SchemaRef,
    columns: &mut [JsonColumn],
) -> Result<usize> {
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
    let mut budget = ValueBudget::new(LINE_VALUES_MAX);
    for ((column, field), value) in columns.iter_mut().zip(schema.fields()).zip(values) {
        if column.push(value, &mut budget).is_none() {
            let position = line.position();
            let is_long = budget.is_exhausted();
            return Err(if is_long { too_many_values(&position) } else { mismatch(&position, field, value) });
        }
    }
    Ok(budget.used())
}

fn too_many_values(position: &str) -> Error {
    Error::source_file(format!("{position} has more than {LINE_VALUES_MAX} values"))
}

/// The error about a value, given as JSON text, that is not of the column's type.
fn mismatch(position: &str, field: &Field, value: &str) -> Error {
    let (shown, expected) = (shown(value), text::expected(field.data_type(), value));
    Error::source_file(format!("{position}: column `{}` is `{shown}`, expected {expected}", field.name()))
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
    /// Columns and members of objects in them, all together.
    fields: usize,
}

struct InferredColumn {
    name: String,
    /// Whether the dataset has a type for it.
    is_known: bool,
    /// The number of the last row with a value.
    last_row: u64,
    shape: Shape,
}

impl SchemaInference {
    fn observe(&mut self, source: impl Read, label: &Arc<str>, known: Option<&SchemaRef>) -> Result<()> {
        let mut lines = Lines::new(source, label);
        while lines.advance()? {
            self.rows += 1;
            let mut members = Vec::with_capacity(self.columns.len());
            lines.members(|name, value| members.push((self.index_of(name, known), value)))?;
            let mut budget = Budget { values: LINE_VALUES_MAX, fields: COLUMNS_MAX.saturating_sub(self.fields) };
            let fields = budget.fields;
            // Of repeated members the last counts.
            for (index, value) in members.into_iter().rev() {
                let Some(column) = self.columns.get_mut(index) else { return Err(too_many_columns(&lines.position())) };
                if !column.is_known && column.last_row != self.rows {
                    column.last_row = self.rows;
                    let observed = column.shape.observe(value, &mut budget);
                    observed.map_err(|unfit| unfit_value(unfit, &lines.position(), &column.name, value))?;
                }
            }
            self.fields += fields - budget.fields;
        }
        Ok(())
    }

    /// The index of a column, which is added at its first appearance; without room for it, an index of none.
    fn index_of(&mut self, name: Cow<'_, str>, known: Option<&SchemaRef>) -> usize {
        match self.names.get(&*name) {
            Some(index) => *index,
            None if self.fields >= COLUMNS_MAX => usize::MAX,
            None => {
                let name = name.into_owned();
                let is_known = known.is_some_and(|schema| schema.field_with_name(&name).is_ok());
                self.names.insert(name.clone(), self.columns.len());
                self.columns.push(InferredColumn { name, is_known, last_row: 0, shape: Shape::default() });
                self.fields += 1;
                self.columns.len() - 1
            }
        }
    }

    fn finish(self, label: &str, known: Option<&SchemaRef>) -> Result<SchemaRef> {
        validate_names(label, &self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())?;
        if let Some(column) = self.columns.iter().find(|column| column.shape.has_empty_object()) {
            let message = format!("{label}: column `{}` has objects that have no member in any row", column.name);
            return Err(Error::source_file(message));
        }
        let inferred = self.columns.into_iter().map(|column| {
            let is_number_as_text = column.shape.is_number_as_text();
            Inferred { kind: column.shape.kind(), is_number_as_text, name: column.name }
        });
        Ok(prefer_known(inferred.collect(), known))
    }
}

/// The error about a value that does not fit its column.
fn unfit_value(unfit: Unfit, position: &str, name: &str, value: &str) -> Error {
    let shown = shown(value);
    let message = match unfit {
        Unfit::Invalid => format!("{position}: column `{name}` is `{shown}`, expected a valid value"),
        Unfit::Mixed(before, now) => {
            format!("{position}: column `{name}` is `{shown}`, which has {now} where earlier rows have {before}")
        }
        Unfit::Deep => format!("{position}: column `{name}` is nested more than {} deep", shape::DEPTH_MAX),
        Unfit::Values => return too_many_values(position),
        Unfit::Fields => return too_many_columns(position),
    };
    Error::source_file(message)
}

fn too_many_columns(position: &str) -> Error {
    Error::Limit(format!("{position}: the rows up to here have more than {COLUMNS_MAX} columns and members of objects"))
}

#[cfg(test)]
mod tests;
