//! JSON lines: one object a line; a missing member is null.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema_from_iterator;
use serde_json::{Map, Value};

use super::columns::ColumnBuilder;
use super::infer::InferredType;
use super::{BATCH_ROWS, BatchSink, LocalFile, Origin, SourceBatch, prefer_known, text};
use crate::convert::assemble;
use crate::error::{Error, Result, one_line};
use crate::types::{canonical, validate_names};

/// Bytes of one line, at most.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The columns of the files: members in order of first appearance, typed by the dataset where it has
/// them, else inferred over all rows.
pub(crate) fn infer_schema(files: &[LocalFile], known: Option<&SchemaRef>) -> Result<SchemaRef> {
    let mut infer_schema = SchemaInference::default();
    for file in files {
        infer_schema.observe(file.open()?, &file.label, known)?;
    }
    infer_schema.finish(files.first().map_or("the files", |file| &file.label), known)
}

/// The same over lines in memory.
pub(crate) fn infer_schema_of_bytes(bytes: &[u8], label: &Arc<str>, known: Option<&SchemaRef>) -> Result<SchemaRef> {
    let mut infer_schema = SchemaInference::default();
    infer_schema.observe(bytes, label, known)?;
    infer_schema.finish(label, known)
}

/// Reads rows as batches of `schema`; a member that is no column of it is an error.
pub(crate) fn read(source: impl Read, label: &Arc<str>, schema: &SchemaRef, take: &mut BatchSink<'_>) -> Result<()> {
    let mut lines = Lines::new(source, label);
    let mut columns: Vec<JsonColumn> = schema.fields().iter().map(|field| JsonColumn::new(field)).collect();
    let mut numbers = Vec::with_capacity(BATCH_ROWS);
    loop {
        let row = lines.next()?;
        let done = row.is_none();
        if let Some(mut row) = row {
            for (column, field) in columns.iter_mut().zip(schema.fields()) {
                let value = row.remove(field.name()).unwrap_or(Value::Null);
                column.push(value).map_err(|value| lines.misfit(field, &value))?;
            }
            if let Some(name) = row.keys().next() {
                return Err(Error::source_file(format!(
                    "{}: `{name}` is no column of the rows read with it",
                    lines.place()
                )));
            }
            numbers.push(lines.number);
        }
        if numbers.len() == BATCH_ROWS || (done && !numbers.is_empty()) {
            let count = numbers.len();
            let origin = Origin::lines(label, std::mem::take(&mut numbers));
            let arrays = columns
                .iter_mut()
                .zip(schema.fields())
                .map(|(column, field)| column.finish(field, &origin))
                .collect::<Result<Vec<_>>>()?;
            take(SourceBatch { batch: assemble(schema, arrays, count)?, origin })?;
        }
        if done {
            return Ok(());
        }
    }
}

/// What the members of all rows can be read as.
#[derive(Default)]
struct SchemaInference {
    order: Vec<String>,
    guesses: HashMap<String, InferredType>,
    nested: HashMap<String, Vec<Value>>,
}

impl SchemaInference {
    fn observe(&mut self, source: impl Read, label: &Arc<str>, known: Option<&SchemaRef>) -> Result<()> {
        let mut lines = Lines::new(source, label);
        while let Some(row) = lines.next()? {
            for (name, value) in row {
                if !self.guesses.contains_key(&name) {
                    self.order.push(name.clone());
                    self.guesses.insert(name.clone(), InferredType::default());
                }
                if known.is_some_and(|schema| schema.field_with_name(&name).is_ok()) {
                    continue;
                }
                self.observe_value(name, value);
            }
        }
        Ok(())
    }

    fn observe_value(&mut self, name: String, value: Value) {
        let guess = self.guesses.entry(name.clone()).or_default();
        match value {
            Value::Null => {}
            Value::Bool(_) => *guess = guess.join(InferredType::Bool),
            Value::Number(number) if number.is_i64() => *guess = guess.join(InferredType::Int),
            Value::Number(_) => *guess = guess.join(InferredType::Float),
            // Text that looks like a number was meant as text; instants and days have no other form.
            Value::String(text) => {
                let seen = InferredType::of(&text);
                *guess = guess.join(if matches!(seen, InferredType::Date | InferredType::Timestamp) {
                    seen
                } else {
                    InferredType::Text
                });
            }
            nested @ (Value::Array(_) | Value::Object(_)) => self.nested.entry(name).or_default().push(nested),
        }
    }

    fn finish(self, label: &str, known: Option<&SchemaRef>) -> Result<SchemaRef> {
        validate_names(label, &self.order.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut inferred = Vec::with_capacity(self.order.len());
        for name in &self.order {
            let guess = self.guesses.get(name).copied().unwrap_or_default();
            let kind = match self.nested.get(name) {
                None => guess.kind(),
                Some(values) if guess == InferredType::Unknown => Some(nested_kind(label, name, values)?),
                Some(_) => {
                    return Err(Error::source_file(format!(
                        "{label}: column `{name}` has both scalars and nested values"
                    )));
                }
            };
            inferred.push((name.clone(), kind));
        }
        Ok(prefer_known(&inferred, known))
    }
}

fn nested_kind(label: &str, name: &str, values: &[Value]) -> Result<DataType> {
    let rows = values.iter().map(|value| Ok(Value::Object(Map::from_iter([(name.to_owned(), value.clone())]))));
    let schema = infer_json_schema_from_iterator(rows).map_err(|cause| {
        Error::source_file(format!(
            "{label}: column `{name}` has values without a common type: {}",
            one_line(&cause.to_string())
        ))
    })?;
    canonical(schema.field(0).data_type())
        .ok_or_else(|| Error::source_file(format!("{label}: column `{name}` has values of an unsupported type")))
}

/// A column being built from JSON values.
enum JsonColumn {
    Scalar(ColumnBuilder),
    Nested(Vec<Value>),
}

impl JsonColumn {
    fn new(field: &Field) -> Self {
        ColumnBuilder::new(field.data_type()).map_or(Self::Nested(Vec::new()), Self::Scalar)
    }

    /// Appends a value; gives it back when it is none of the column's type.
    fn push(&mut self, value: Value) -> Result<(), Value> {
        match self {
            Self::Nested(values) => values.push(value),
            Self::Scalar(builder) => match &value {
                Value::Null => builder.push_null(),
                Value::String(text) => builder.push(text).ok_or(value)?,
                Value::Number(number) => push_number(builder, number).ok_or(value)?,
                Value::Bool(bit) => match builder {
                    ColumnBuilder::Bool(_) | ColumnBuilder::Text(_) => {
                        builder.push(if *bit { "true" } else { "false" }).ok_or(value)?;
                    }
                    _ => return Err(value),
                },
                Value::Array(_) | Value::Object(_) => return Err(value),
            },
        }
        Ok(())
    }

    fn finish(&mut self, field: &Field, origin: &Origin) -> Result<ArrayRef> {
        match self {
            Self::Scalar(builder) => Ok(builder.finish()),
            Self::Nested(values) => {
                let rows: Vec<Value> = values
                    .drain(..)
                    .map(|value| Value::Object(Map::from_iter([(field.name().clone(), value)])))
                    .collect();
                decode(field, &rows).map_err(|cause| {
                    Error::source_file(format!(
                        "{}: column `{}` has a value that is not {}: {cause}",
                        origin.at(0),
                        field.name(),
                        field.data_type()
                    ))
                })
            }
        }
    }
}

fn push_number(builder: &mut ColumnBuilder, number: &serde_json::Number) -> Option<()> {
    match builder {
        ColumnBuilder::Float(builder) => {
            builder.append_value(number.as_f64()?);
            Some(())
        }
        ColumnBuilder::Int(builder) if number.is_i64() => {
            builder.append_value(number.as_i64()?);
            Some(())
        }
        ColumnBuilder::Int(_) | ColumnBuilder::Decimal(..) | ColumnBuilder::Text(_) => {
            builder.push(&number.to_string())
        }
        _ => None,
    }
}

fn decode(field: &Field, rows: &[Value]) -> Result<ArrayRef, String> {
    let schema = Arc::new(ArrowSchema::new(vec![field.clone()]));
    let mut decoder =
        ReaderBuilder::new(schema).with_batch_size(rows.len().max(1)).build_decoder().map_err(|c| c.to_string())?;
    decoder.serialize(rows).map_err(|cause| one_line(&cause.to_string()))?;
    let batch = decoder.flush().map_err(|cause| one_line(&cause.to_string()))?;
    batch.map(|batch| Arc::clone(batch.column(0))).ok_or_else(|| "no rows".to_owned())
}

/// The objects of a source, line by line.
struct Lines<R: Read> {
    reader: BufReader<R>,
    label: Arc<str>,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn new(source: R, label: &Arc<str>) -> Self {
        Self {
            reader: BufReader::with_capacity(256 << 10, source),
            label: Arc::clone(label),
            number: 0,
            buffer: Vec::new(),
        }
    }

    /// The next object; empty lines are passed over.
    fn next(&mut self) -> Result<Option<Map<String, Value>>> {
        loop {
            self.buffer.clear();
            let limited = &mut (&mut self.reader).take(LINE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut self.buffer).map_err(|cause| Error::SourceFile {
                message: format!("{} cannot be read after line {}: {cause}", self.label, self.number),
                hint: None,
                source: Some(cause.into()),
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == LINE_BYTES_MAX {
                return Err(Error::source_file(format!("{} is longer than {LINE_BYTES_MAX} bytes", self.place())));
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return match serde_json::from_slice(&self.buffer) {
                Ok(row) => Ok(Some(row)),
                Err(cause) => Err(Error::SourceFile {
                    message: format!("{} is not a JSON object: {}", self.place(), reason(&cause)),
                    hint: None,
                    source: Some(cause.into()),
                }),
            };
        }
    }

    fn place(&self) -> String {
        format!("{} line {}", self.label, self.number)
    }

    fn misfit(&self, field: &Field, value: &Value) -> Error {
        let expected = text::expected(field.data_type());
        let shown: String = value.to_string().chars().take(80).collect();
        Error::source_file(format!("{}: column `{}` is `{shown}`, expected {expected}", self.place(), field.name()))
    }
}

/// The parser's words with the column, without its own line number.
fn reason(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let words = text.split(" at line ").next().unwrap_or_default();
    format!("{words} at column {}", cause.column())
}
