//! Arriving rows: parsed from small CSV and JSON lines contents, or copied from columns in memory.

use std::path::Path;

use perennial_core::port::data::{FilesSource, Format, LocalTime, ValueColumn, Values};
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::Value as Json;

use super::cell::Cell;

/// Rows with their columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Name and class of each column; `None` when all its values are null.
    pub(super) columns: Vec<(String, Option<TypeClass>)>,
    pub(super) rows: Vec<Row>,
}

/// A row, and its origin for messages.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) origin: String,
}

impl Rows {
    /// The columns as a schema; a column of nulls is text.
    pub(super) fn schema(&self) -> Schema {
        let fields = self.columns.iter().map(|(name, class)| Field {
            name: name.clone(),
            class: class.clone().unwrap_or(TypeClass::Text),
            nullable: true,
        });
        Schema { fields: fields.collect() }
    }

    /// Parses the files of a load, each a path with its content. All files have the same columns.
    pub(super) fn of_files(source: &FilesSource, files: &[(String, String)], known: Option<&Schema>) -> Result<Self> {
        let mut all: Option<Texts> = None;
        for (path, content) in files {
            let texts = Texts::parse(source, path, content)?;
            match &mut all {
                None => all = Some(texts),
                Some(all) if all.names == texts.names => all.rows.extend(texts.rows),
                Some(all) => {
                    let (found, expected) = (texts.names.join(", "), all.names.join(", "));
                    return Err(faulty(path, format!("has columns {found}, expected {expected}")));
                }
            }
        }
        all.unwrap_or_default().typed(known)
    }

    /// Parses a file that the engine exported, or that a command wrote in that form: CSV.
    pub(super) fn of_export(path: &Path, known: Option<&Schema>) -> Result<Self> {
        let name = path.display().to_string();
        let content = std::fs::read_to_string(path).map_err(|_| faulty(&name, "cannot be read"))?;
        let (root, columns) = (None, Vec::new());
        let source = FilesSource {
            root,
            files: name.clone(),
            format: Some(Format::Csv),
            header: true,
            columns,
            local_time: LocalTime::default(),
        };
        Self::of_files(&source, &[(name, content)], known)
    }

    /// Parses one JSON object a line. Objects are flat; a missing member is null.
    pub(super) fn of_json_lines(bytes: &[u8], known: Option<&Schema>) -> Result<Self> {
        let mut texts = Texts::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let origin = format!("line {}", index + 1);
            let object: serde_json::Map<String, Json> =
                serde_json::from_slice(line).map_err(|_| faulty(&origin, "is not a JSON object"))?;
            let mut fields = vec![String::new(); texts.names.len()];
            for (name, value) in object {
                let position = texts.names.iter().position(|known| *known == name).unwrap_or_else(|| {
                    texts.names.push(name);
                    fields.push(String::new());
                    texts.names.len() - 1
                });
                fields[position] = match value {
                    Json::Null => String::new(),
                    Json::String(text) => text,
                    other => other.to_string(),
                };
            }
            texts.rows.push((origin, fields));
        }
        let width = texts.names.len();
        for (_, fields) in &mut texts.rows {
            fields.resize(width, String::new());
        }
        texts.typed(known)
    }

    /// Rows of columns in memory, whose types are given.
    pub(super) fn of_columns(columns: &[ValueColumn]) -> Self {
        let count = columns.first().map_or(0, |column| column.values.len());
        let cell = |column: &ValueColumn, row: usize| match &column.values {
            Values::Int(values) => Cell::Int(values[row]),
            Values::Float(values) if values[row].is_nan() => Cell::Null,
            Values::Float(values) => Cell::Float(values[row]),
            Values::Text(text) => text.get(row).map_or(Cell::Null, |value| Cell::Text(value.to_owned())),
        };
        let rows = (0..count).map(|row| Row {
            cells: columns.iter().map(|column| cell(column, row)).collect(),
            origin: format!("row {}", row + 1),
        });
        let names = columns.iter().map(|column| (column.name.clone(), Some(column.values.class())));
        Self { columns: names.collect(), rows: rows.collect() }
    }
}

/// Rows of texts, before their types are known.
#[derive(Default)]
struct Texts {
    names: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Texts {
    /// Parses CSV without quotes.
    fn parse(source: &FilesSource, path: &str, content: &str) -> Result<Self> {
        let mut lines = content.lines().enumerate();
        let names: Vec<String> = if source.header {
            let (_, header) = lines.next().ok_or_else(|| faulty(path, "has no header"))?;
            header.split(',').map(str::to_owned).collect()
        } else {
            source.columns.clone()
        };
        let mut rows = Vec::new();
        for (index, line) in lines {
            let origin = format!("{path} line {}", index + 1);
            let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            if fields.len() != names.len() {
                return Err(faulty(&origin, format!("has {} fields, expected {}", fields.len(), names.len())));
            }
            rows.push((origin, fields));
        }
        Ok(Self { names, rows })
    }

    /// Converts each column to the class that the dataset has, or else to the narrowest class of its values.
    fn typed(self, known: Option<&Schema>) -> Result<Rows> {
        let mut columns = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let known = known.and_then(|schema| schema.field(name)).map(|field| field.class.clone());
            let classes = self.rows.iter().filter_map(|(_, fields)| Cell::parse(&fields[index]).class());
            columns.push((name.clone(), known.or_else(|| classes.reduce(join))));
        }
        let mut rows = Vec::new();
        for (origin, fields) in self.rows {
            let mut cells = Vec::new();
            for (text, (name, class)) in fields.iter().zip(&columns) {
                let class = class.as_ref().unwrap_or(&TypeClass::Text);
                let cell = Cell::parse_as(text, class);
                cells.push(
                    cell.ok_or_else(|| faulty(&origin, format!("has `{text}` in column `{name}`, expected {class}")))?,
                );
            }
            rows.push(Row { cells, origin });
        }
        // A column without values has no class of its own.
        for (index, (_, class)) in columns.iter_mut().enumerate() {
            if rows.iter().all(|row: &Row| row.cells[index] == Cell::Null) {
                *class = None;
            }
        }
        Ok(Rows { columns, rows })
    }
}

/// The narrowest class that includes both.
fn join(one: TypeClass, other: TypeClass) -> TypeClass {
    match (one, other) {
        (one, other) if one == other => one,
        (TypeClass::Int, TypeClass::Float) | (TypeClass::Float, TypeClass::Int) => TypeClass::Float,
        _ => TypeClass::Text,
    }
}

fn faulty(place: &str, problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::SourceFile, format!("{place} {problem}")).with_hint("repair the file at its source")
}
