//! CSV: comma-separated, quoted by RFC 4180; an empty field is null.

mod quotes;

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use csv::{ByteRecord, Reader, ReaderBuilder};
use perennial_core::csv_quotes::QuoteFault;
use perennial_core::text::one_line;

use super::columns::ColumnBuilder;
use super::infer::InferredType;
use super::zone::LocalTimes;
use super::{BATCH_ROWS, BatchSink, BatchSize, Inferred, LocalFile, SourceBatch, prefer_known, text};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::types::validate_names;
use quotes::CheckedQuotes;

/// The columns of the files: names from headers or as declared, types from the dataset where known, else inferred from
/// all rows. All files must have the same columns.
pub(crate) fn infer_schema(
    files: &[LocalFile],
    header: bool,
    names: &[String],
    known: Option<&SchemaRef>,
) -> Result<SchemaRef> {
    let mut columns: Vec<(String, InferredType)> = Vec::new();
    for file in files {
        let mut rows = Rows::open(file, header, names)?;
        if columns.is_empty() {
            columns = rows.names.iter().map(|name| (name.clone(), InferredType::default())).collect();
        }
        // Another file may have the same columns in a different order.
        let positions = positions(&columns, &rows.names, file)?;
        let is_unknown =
            |(name, _): &(String, InferredType)| known.is_none_or(|schema| schema.field_with_name(name).is_err());
        let inferred_columns: Vec<(usize, usize)> =
            positions.into_iter().enumerate().filter(|(column, _)| is_unknown(&columns[*column])).collect();
        if inferred_columns.is_empty() {
            continue;
        }
        while rows.next()? {
            for &(column, index) in &inferred_columns {
                let value = rows.field(index)?;
                if !value.is_empty() {
                    columns[column].1.observe(value);
                }
            }
        }
    }
    let inferred = columns.into_iter().map(|(name, inferred)| Inferred {
        name,
        kind: inferred.kind(),
        is_number_as_text: inferred.is_number_as_text(),
    });
    Ok(prefer_known(inferred.collect(), known))
}

/// Reads the rows of one file as batches of `schema`.
pub(crate) fn read(
    file: &LocalFile,
    header: bool,
    names: &[String],
    schema: &SchemaRef,
    times: &LocalTimes,
    sink: &mut BatchSink<'_>,
) -> Result<()> {
    let mut rows = Rows::open(file, header, names)?;
    let columns: Vec<(String, InferredType)> =
        schema.fields().iter().map(|field| (field.name().clone(), InferredType::default())).collect();
    let positions = positions(&columns, &rows.names, file)?;
    let mut builders = schema
        .fields()
        .iter()
        .map(|field| {
            ColumnBuilder::new(field.data_type(), &times.column(field.name())).ok_or_else(|| {
                Error::source_file(format!(
                    "{}: column `{}` has type {}, which CSV does not support",
                    file.label,
                    field.name(),
                    field.data_type()
                ))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut lines = Vec::with_capacity(BATCH_ROWS);
    let mut size = BatchSize::default();
    loop {
        let more = rows.next()?;
        if more {
            for (column, builder) in builders.iter_mut().enumerate() {
                let value = rows.field(positions[column])?;
                if value.is_empty() {
                    builder.push_null();
                } else if builder.push(value).is_none() {
                    return Err(rows.mismatch(schema.field(column), value));
                }
            }
            lines.push(rows.line());
            size.add(rows.record.as_slice().len(), builders.len());
        }
        if size.is_complete() || (!more && !lines.is_empty()) {
            size = BatchSize::default();
            let count = lines.len();
            let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
            let origin = Origin::lines(&file.label, std::mem::take(&mut lines));
            sink(SourceBatch { batch: assemble(schema, arrays, count)?, origin })?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// The position of each of `columns` in a file's rows.
fn positions(columns: &[(String, InferredType)], names: &[String], file: &LocalFile) -> Result<Vec<usize>> {
    let index = |(name, _): &(String, InferredType)| {
        names.iter().position(|other| other == name).ok_or_else(|| {
            Error::source_file(format!("{}: column `{name}` is missing, the file has {}", file.label, quoted(names)))
        })
    };
    let positions = columns.iter().map(index).collect::<Result<Vec<_>>>()?;
    match names.iter().find(|name| !columns.iter().any(|(known, _)| known == *name)) {
        Some(extra) => Err(Error::source_file(format!(
            "{}: column `{extra}` is not in the other files of the load, expected {}",
            file.label,
            quoted(&columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
        ))),
        None => Ok(positions),
    }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The rows of one file.
struct Rows {
    reader: Reader<CheckedQuotes<File>>,
    record: ByteRecord,
    label: Arc<str>,
    names: Vec<String>,
    /// Whether lines end in CR LF; then the reader reports the position of a row before the LF.
    is_crlf: bool,
}

/// The number of bytes in which the first line ending is searched.
const FIRST_LINE_BYTES: u64 = 64 << 10;

fn is_crlf(file: &LocalFile) -> Result<bool> {
    let mut beginning = Vec::new();
    let read = file.open()?.take(FIRST_LINE_BYTES).read_to_end(&mut beginning);
    read.map_err(|cause| Error::storage(format!("reading {}", file.label), cause))?;
    let first = beginning.iter().position(|byte| *byte == b'\n');
    Ok(first.is_some_and(|first| beginning[..first].ends_with(b"\r")))
}

/// The misplaced quotation mark, or the row that is too long, that ended the reading.
fn fault_of(cause: &csv::Error) -> Option<QuoteFault> {
    let csv::ErrorKind::Io(failed) = cause.kind() else { return None };
    failed.get_ref()?.downcast_ref().copied()
}

impl Rows {
    fn open(file: &LocalFile, header: bool, names: &[String]) -> Result<Self> {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(256 << 10)
            .from_reader(CheckedQuotes::new(file.open()?));
        let mut rows = Self {
            reader,
            record: ByteRecord::new(),
            label: Arc::clone(&file.label),
            names: names.to_vec(),
            is_crlf: is_crlf(file)?,
        };
        if header {
            if !rows.advance()? {
                return Err(Error::source_file(format!("{} is empty, expected a header line", rows.label)));
            }
            rows.names = rows.header()?;
        } else if names.is_empty() {
            return Err(Error::Argument(format!(
                "{} has no header line: declare its columns in the source with `columns = [...]`",
                rows.label
            )));
        }
        let label = format!("{} line 1", rows.label);
        validate_names(&label, &rows.names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(rows)
    }

    fn header(&self) -> Result<Vec<String>> {
        (0..self.record.len())
            .map(|index| {
                let name = self.text(index)?;
                // A byte order mark may precede the first name.
                Ok(name.trim_start_matches('\u{feff}').trim().to_owned())
            })
            .collect()
    }

    /// Reads the next row; false at the end.
    fn next(&mut self) -> Result<bool> {
        if !self.advance()? {
            return Ok(false);
        }
        if self.record.len() == self.names.len() {
            return Ok(true);
        }
        Err(Error::source_file(format!(
            "{} line {}: expected {} columns, got {}",
            self.label,
            self.line(),
            self.names.len(),
            self.record.len()
        )))
    }

    fn advance(&mut self) -> Result<bool> {
        self.reader.read_byte_record(&mut self.record).map_err(|cause| {
            let (message, hint) = match fault_of(&cause) {
                Some(fault) => (format!("{} {fault}", self.label), Some(fault.hint().to_owned())),
                None => (format!("cannot parse {} as CSV: {}", self.label, one_line(&cause.to_string())), None),
            };
            Error::SourceFile { message, hint, source: Some(cause.into()) }
        })
    }

    /// The line where the row starts.
    fn line(&self) -> u64 {
        self.record.position().map_or(0, |at| at.line() + u64::from(self.is_crlf && at.byte() > 0))
    }

    fn field(&self, index: usize) -> Result<&str> {
        self.text(index)
    }

    fn text(&self, index: usize) -> Result<&str> {
        let bytes = self.record.get(index).unwrap_or_default();
        let name = || self.names.get(index).map_or_else(|| (index + 1).to_string(), |name| format!("`{name}`"));
        std::str::from_utf8(bytes).map_err(|cause| Error::SourceFile {
            message: format!("{} line {}: column {} is not UTF-8 text", self.label, self.line(), name()),
            hint: Some("save the file as UTF-8".into()),
            source: Some(cause.into()),
        })
    }

    fn mismatch(&self, field: &arrow::datatypes::Field, value: &str) -> Error {
        let expected = text::expected(field.data_type(), value);
        let shown: String = value.chars().take(80).collect();
        Error::source_file(format!(
            "{} line {}: column `{}` is `{}`, expected {expected}",
            self.label,
            self.line(),
            field.name(),
            shown.escape_debug()
        ))
    }
}
