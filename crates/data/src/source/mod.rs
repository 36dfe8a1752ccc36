//! Reads the rows of sources as batches that know the position of each row.

mod columns;
mod csv;
pub mod fuzz;
mod infer;
mod json;
mod listing;
mod local_arrays;
mod memory;
mod parquet;
mod text;
mod zone;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use perennial_core::port::data::{FilesSource, Format, LocalTime};
use perennial_core::schema::Schema;

use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::with_warning;

pub(crate) use listing::Sources;
pub use listing::files_below;
pub(crate) use memory::Memory;
pub(crate) use zone::LocalTimes;

/// The most rows of a batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// A batch of rows with so many bytes of text is complete.
const BATCH_BYTES: usize = 16 << 20;
/// A batch with so many values, nulls among them, is complete: a short row may have many columns.
const BATCH_CELLS: usize = 2 << 20;

/// The size of a batch that is being read. It bounds the memory of a batch, whatever the rows are.
#[derive(Debug, Clone, Copy, Default)]
struct BatchSize {
    rows: usize,
    bytes: usize,
    cells: usize,
}

impl BatchSize {
    /// Adds a row.
    fn add(&mut self, bytes: usize, cells: usize) {
        self.rows += 1;
        self.bytes += bytes;
        self.cells += cells;
    }

    /// Whether no row should follow.
    fn is_complete(self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES || self.cells >= BATCH_CELLS
    }
}

/// A batch of rows in the source's columns, with their positions.
#[derive(Debug, Clone)]
pub(crate) struct SourceBatch {
    pub(crate) batch: RecordBatch,
    pub(crate) origin: Origin,
}

/// Receives batches as they are read; its error ends the reading.
pub(crate) type BatchSink<'a> = dyn FnMut(SourceBatch) -> Result<()> + 'a;

/// A local file, and its name for messages.
#[derive(Debug, Clone)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    pub(crate) label: Arc<str>,
}

impl LocalFile {
    fn open(&self) -> Result<File> {
        crate::worker::open(&self.path).map_err(|cause| Error::SourceFile {
            message: format!("{} cannot be opened: {cause}", self.label),
            hint: None,
            source: Some(cause.into()),
        })
    }
}

/// Files of one format with one schema.
pub(crate) struct Files {
    list: Vec<LocalFile>,
    format: Format,
    header: bool,
    names: Vec<String>,
    times: Arc<LocalTimes>,
    /// The schema of the rows.
    pub(crate) schema: SchemaRef,
}

impl Files {
    /// Opens `files` and finds the schema of their rows. Text formats use the dataset's types for `known` columns and
    /// infer those of others from all rows. Blocking.
    pub(crate) fn open(source: &FilesSource, files: Vec<LocalFile>, known: Option<&SchemaRef>) -> Result<Self> {
        let format = match source.format {
            Some(format) => format,
            None => format_of(&source.files, &files)?,
        };
        let schema = match format {
            Format::Csv => csv::infer_schema(&files, source.header, &source.columns, known)?,
            Format::JsonLines => json::infer_schema(&files, known)?,
            Format::Parquet => parquet::infer_schema(&files, known)?,
        };
        let times = LocalTimes::new(source.local_time.clone())?;
        Ok(Self { list: files, format, header: source.header, names: source.columns.clone(), times, schema })
    }

    /// Reads all rows, in order of files and rows. Blocking.
    pub(crate) fn read(&self, sink: &mut BatchSink<'_>) -> Result<()> {
        for file in &self.list {
            match self.format {
                Format::Csv => csv::read(file, self.header, &self.names, &self.schema, &self.times, sink)?,
                Format::JsonLines => json::read(file.open()?, &file.label, &self.schema, &self.times, sink)?,
                Format::Parquet => parquet::read(file, &self.times, sink)?,
            }
        }
        Ok(())
    }

    /// The local times that reading finds.
    pub(crate) fn times(&self) -> Arc<LocalTimes> {
        Arc::clone(&self.times)
    }
}

/// JSON lines in memory.
pub(crate) struct JsonLines {
    bytes: Bytes,
    label: Arc<str>,
    times: Arc<LocalTimes>,
    /// The schema of the rows.
    pub(crate) schema: SchemaRef,
}

impl JsonLines {
    /// Infers the schema of the lines.
    pub(crate) fn open(bytes: Bytes, label: &str, known: Option<&SchemaRef>) -> Result<Self> {
        let label = Arc::from(label);
        let schema = json::infer_schema_of_bytes(&bytes, &label, known)?;
        Ok(Self { bytes, label, times: LocalTimes::new(LocalTime::default())?, schema })
    }

    /// Reads all rows. Blocking.
    pub(crate) fn read(&self, sink: &mut BatchSink<'_>) -> Result<()> {
        json::read(&self.bytes[..], &self.label, &self.schema, &self.times, sink)
    }

    /// The local times that reading finds.
    pub(crate) fn times(&self) -> Arc<LocalTimes> {
        Arc::clone(&self.times)
    }
}

fn format_of(glob: &str, files: &[LocalFile]) -> Result<Format> {
    let names = files.iter().map(|file| &*file.label).chain([glob]);
    let mut formats = names.filter_map(|name| {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    });
    let first = formats.next().ok_or_else(|| {
        Error::Argument(format!("cannot infer a format from the extension of `{glob}`, expected `.csv`, `.jsonl` or `.parquet`, or `format =`"))
    })?;
    match formats.find(|other| *other != first) {
        Some(_) => {
            Err(Error::Argument(format!("`{glob}` matches files of several formats: declare one with `format =`")))
        }
        None => Ok(first),
    }
}

/// A column whose type was inferred from its values; no type when all are null.
struct Inferred {
    name: String,
    kind: Option<DataType>,
    /// Whether it is text only because no number type holds its numbers.
    is_number_as_text: bool,
}

/// The columns with the dataset's types where known, else the inferred ones.
fn prefer_known(inferred: Vec<Inferred>, known: Option<&SchemaRef>) -> SchemaRef {
    let fields = inferred.into_iter().map(|Inferred { name, kind, is_number_as_text }| {
        if let Some(known) = known.and_then(|schema| schema.field_with_name(&name).ok()) {
            return Field::new(name, known.data_type().clone(), true);
        }
        let field = Field::new(name, kind.unwrap_or(DataType::Utf8), true);
        if is_number_as_text { with_warning(field, NUMBER_AS_TEXT) } else { field }
    });
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The warning about a column of numbers that became text.
const NUMBER_AS_TEXT: &str =
    "has numbers that neither an integer of 64 bits nor a float holds exactly, so it is stored as text";

/// Converts a logical schema to Arrow.
pub(crate) fn arrow_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields.iter().map(|field| Field::new(&field.name, crate::types::arrow_of(&field.class), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
