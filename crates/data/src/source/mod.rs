//! Reading rows: from files of a source, as batches that know where each row stood.

mod columns;
mod csv;
mod infer;
mod json;
mod listing;
mod memory;
mod parquet;
mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use perennial_core::port::data::{FilesSource, Format};
use perennial_core::schema::Schema;

use crate::error::{Error, Result};

pub(crate) use listing::Sources;
pub use listing::files_below;
pub(crate) use memory::Memory;

/// Rows of a batch, at most.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Where the rows of a batch stood.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The file, or what else the rows came from.
    label: Arc<str>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// Rows counted from 1; the first row's number.
    Rows(u64),
    /// The line each row begins on.
    Lines(Arc<[u64]>),
}

impl Origin {
    /// Rows of `label`, the first of them number `first` (from 1).
    pub(crate) fn rows(label: &Arc<str>, first: u64) -> Self {
        Self { label: Arc::clone(label), place: Place::Rows(first) }
    }

    /// Rows that begin on `lines` of `label`.
    pub(crate) fn lines(label: &Arc<str>, lines: Vec<u64>) -> Self {
        let contiguous = lines.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let place = if contiguous && !lines.is_empty() { Arc::from(&lines[..1]) } else { Arc::from(lines) };
        Self { label: Arc::clone(label), place: Place::Lines(place) }
    }

    /// What the rows came from.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The place of the row at `row` of the batch, for messages.
    pub(crate) fn at(&self, row: usize) -> String {
        match &self.place {
            Place::Rows(first) => format!("{} row {}", self.label, first + row as u64),
            Place::Lines(lines) => {
                let line = match lines.get(row) {
                    Some(line) => *line,
                    None => lines.first().map_or(0, |first| first + row as u64),
                };
                format!("{} line {line}", self.label)
            }
        }
    }
}

/// Rows that arrived, in columns of their own, and where they stood.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) batch: RecordBatch,
    pub(crate) origin: Origin,
}

/// Takes batches as they are read; an error from it ends the reading.
pub(crate) type Taker<'a> = dyn FnMut(Arrival) -> Result<()> + 'a;

/// A file on the local disk, and its name for people.
#[derive(Debug, Clone)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    pub(crate) label: Arc<str>,
}

impl LocalFile {
    fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(|cause| Error::SourceFile {
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
    /// The schema the rows arrive in.
    pub(crate) schema: SchemaRef,
}

impl Files {
    /// Looks through `files` for the schema their rows arrive in. Text formats take the types of
    /// `known` columns from the dataset and infer those of others over whole files. Blocking.
    pub(crate) fn survey(source: &FilesSource, files: Vec<LocalFile>, known: Option<&SchemaRef>) -> Result<Self> {
        let format = match source.format {
            Some(format) => format,
            None => format_of(&source.files, &files)?,
        };
        let schema = match format {
            Format::Csv => csv::survey(&files, source.header, &source.columns, known)?,
            Format::JsonLines => json::survey(&files, known)?,
            Format::Parquet => parquet::survey(&files)?,
        };
        Ok(Self { list: files, format, header: source.header, names: source.columns.clone(), schema })
    }

    /// Reads every row, in order of files and rows. Blocking.
    pub(crate) fn read(&self, take: &mut Taker<'_>) -> Result<()> {
        for file in &self.list {
            match self.format {
                Format::Csv => csv::read(file, self.header, &self.names, &self.schema, take)?,
                Format::JsonLines => json::read(file.open()?, &file.label, &self.schema, take)?,
                Format::Parquet => parquet::read(file, take)?,
            }
        }
        Ok(())
    }
}

/// One JSON object a line, in memory.
pub(crate) struct JsonLines {
    bytes: Arc<[u8]>,
    label: Arc<str>,
    /// The schema the rows arrive in.
    pub(crate) schema: SchemaRef,
}

impl JsonLines {
    /// Looks through the lines for their schema.
    pub(crate) fn survey(bytes: Arc<[u8]>, label: &str, known: Option<&SchemaRef>) -> Result<Self> {
        let label = Arc::from(label);
        let schema = json::survey_bytes(&bytes, &label, known)?;
        Ok(Self { bytes, label, schema })
    }

    /// Reads every row. Blocking.
    pub(crate) fn read(&self, take: &mut Taker<'_>) -> Result<()> {
        json::read(&self.bytes[..], &self.label, &self.schema, take)
    }
}

fn format_of(glob: &str, files: &[LocalFile]) -> Result<Format> {
    let names = files.iter().map(|file| &*file.label).chain([glob]);
    let mut formats = names.filter_map(|name| {
        let ending = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    });
    let first = formats.next().ok_or_else(|| {
        Error::Argument(format!("the format of `{glob}` cannot be told from its ending: expected `.csv`, `.jsonl` or `.parquet`, or `format =`"))
    })?;
    match formats.find(|other| *other != first) {
        Some(_) => {
            Err(Error::Argument(format!("`{glob}` offers files of more than one format: say which with `format =`")))
        }
        None => Ok(first),
    }
}

/// Gives the columns of `schema` the types the dataset has for them.
fn prefer_known(inferred: &[(String, Option<arrow::datatypes::DataType>)], known: Option<&SchemaRef>) -> SchemaRef {
    use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
    let fields = inferred.iter().map(|(name, kind)| {
        let known = known.and_then(|schema| schema.field_with_name(name).ok());
        let kind = known.map(|field| field.data_type().clone()).or_else(|| kind.clone()).unwrap_or(DataType::Utf8);
        Field::new(name, kind, true)
    });
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The Arrow schema of a logical one.
pub(crate) fn arrow_schema(schema: &Schema) -> SchemaRef {
    use arrow::datatypes::{Field, Schema as ArrowSchema};
    let fields = schema.fields.iter().map(|field| Field::new(&field.name, crate::types::arrow_of(&field.class), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
