//! Parsers of foreign bytes, each as one function that fuzz targets and property tests call.

use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use perennial_core::port::data::LocalTime;

use super::{BatchSink, JsonLines, LocalFile, LocalTimes, csv};
use crate::error::Result;

/// A CSV file, with its types inferred, then read.
///
/// # Panics
/// A parser has a fault, or the file cannot be written.
#[expect(clippy::expect_used, reason = "called by tests alone")]
pub fn csv_file(bytes: &[u8]) {
    let mut written = tempfile::NamedTempFile::new().expect("a temporary file");
    written.write_all(bytes).expect("a writable file");
    let file = LocalFile { path: written.path().to_owned(), label: Arc::from("fuzz.csv") };
    let times = LocalTimes::new(LocalTime::default()).expect("UTC");
    for header in [true, false] {
        let names = if header { Vec::new() } else { vec!["a".to_owned(), "b".to_owned()] };
        if let Ok(schema) = csv::infer_schema(std::slice::from_ref(&file), header, &names, None) {
            reads(&schema, |sink| csv::read(&file, header, &names, &schema, &times, sink));
        }
    }
}

/// Lines of JSON, with their types inferred, then read.
///
/// # Panics
/// A parser has a fault.
pub fn json_lines(bytes: &[u8]) {
    if let Ok(lines) = JsonLines::open(Bytes::copy_from_slice(bytes), "fuzz.jsonl", None) {
        reads(&lines.schema, |sink| lines.read(sink));
    }
}

/// Rows whose types were inferred from all of them can be read, in the columns that were inferred.
fn reads(schema: &SchemaRef, read: impl FnOnce(&mut BatchSink<'_>) -> Result<()>) {
    let outcome = read(&mut |rows| {
        assert_eq!(&rows.batch.schema(), schema);
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[cfg(test)]
mod tests;
