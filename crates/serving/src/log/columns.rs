//! Converts a closed segment to columns. Column types come from the column descriptions, not from the values:
//! numbers are floats, text is text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use perennial_core::frame::{Column, MISSING, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::{InputKind, Scores};
use perennial_core::port::data::{ValueColumn, Values};
use perennial_core::port::prediction::{Segment, TrafficRole};

use super::error::LogError;
use super::record::{self, DecodedRecord, Scan};

/// Decodes a whole segment.
pub(super) fn segment(path: &Path, bytes: &[u8]) -> Result<Segment, LogError> {
    let scan = record::scan(bytes);
    if let Some(reason) = scan.torn {
        return Err(LogError::damaged(path, scan.end as usize, reason));
    }
    let mut columns = ColumnBuilder::default();
    let mut end = 0;
    record::for_each_frame(bytes, &mut end, |payload| {
        if !record::is_record(payload) {
            return Ok(());
        }
        let decoded = record::decode(payload, &scan.columns).ok_or("a record does not match its columns")?;
        columns.push(&decoded, &scan);
        Ok(())
    })
    .map_err(|reason| LogError::damaged(path, end as usize, reason))?;
    let digest = blake3::hash(bytes).to_hex().to_string();
    Ok(Segment { records: scan.records, digest, columns: columns.finish() })
}

/// The rows of one request, if the segment has it. The segment may still be written: bytes after its last whole frame are
/// not searched.
pub(super) fn rows_of(bytes: &[u8], request: RequestId) -> Option<Vec<ValueColumn>> {
    let scan = record::scan(bytes);
    let whole = bytes.get(..scan.end as usize)?;
    let (mut found, mut end) = (None, 0);
    record::for_each_frame(whole, &mut end, |payload| {
        if found.is_none() && record::is_of(payload, request) {
            found = record::decode(payload, &scan.columns);
        }
        Ok(())
    })
    .ok()?;
    let mut columns = ColumnBuilder::default();
    columns.push(&found?, &scan);
    Some(columns.finish())
}

/// Collects the rows of a segment, column by column.
#[derive(Default)]
struct ColumnBuilder {
    rows: usize,
    prediction_id: TextColumn,
    request_id: TextColumn,
    row: Vec<i64>,
    version: Vec<i64>,
    role: Vec<u32>,
    status: Vec<i64>,
    wall_ms: Vec<i64>,
    project_ms: Vec<i64>,
    latency_us: Vec<i64>,
    inputs: Vec<SparseColumn>,
    /// Indices into `inputs` of a description's columns, by the description's fingerprint.
    input_indices: HashMap<u64, Vec<usize>>,
    scores: Vec<SparseColumn>,
}

impl ColumnBuilder {
    /// Appends the rows of one request. A request that failed before its rows were read becomes one row
    /// without inputs, so that it is counted.
    fn push(&mut self, record: &DecodedRecord, scan: &Scan) {
        let rows = record.rows.max(1);
        let request = record.request.to_string();
        for row in 0..rows {
            self.prediction_id.codes.push(self.prediction_id.values.len() as u32);
            self.prediction_id.values.push(Arc::from(format!("{request}-{row}")));
            self.row.push(row as i64);
        }
        let repeat = |column: &mut Vec<i64>, value: i64| column.extend(std::iter::repeat_n(value, rows));
        repeat(&mut self.version, record.version);
        repeat(&mut self.status, record.status.into());
        repeat(&mut self.wall_ms, record.wall_ms);
        repeat(&mut self.project_ms, record.project_ms);
        repeat(&mut self.latency_us, i64::try_from(record.latency_us).unwrap_or(i64::MAX));
        self.request_id.codes.extend(std::iter::repeat_n(self.request_id.values.len() as u32, rows));
        self.request_id.values.push(Arc::from(request));
        self.role.extend(std::iter::repeat_n(record.role as u32, rows));
        if record.rows > 0 {
            self.push_inputs(record, scan);
            if let Some(scores) = &record.scores {
                self.push_scores(scores);
            }
        }
        self.rows += rows;
    }

    fn push_inputs(&mut self, record: &DecodedRecord, scan: &Scan) {
        let inputs = &mut self.inputs;
        let indices = self.input_indices.entry(record.columns).or_insert_with(|| {
            let columns = scan.columns.get(&record.columns).into_iter().flatten();
            columns.map(|(name, kind)| find_or_add(inputs, &format!("in_{name}"), *kind)).collect()
        });
        for (index, column) in indices.iter().zip(&record.inputs) {
            inputs[*index].push(self.rows, column);
        }
    }

    fn push_scores(&mut self, scores: &Scores) {
        for class in 0..scores.width {
            let name = match scores.width {
                1 => Cow::Borrowed("score"),
                _ => Cow::Owned(format!("score_{class}")),
            };
            let index = find_or_add(&mut self.scores, &name, InputKind::Number);
            let values = scores.values.iter().skip(class).step_by(scores.width).copied();
            self.scores[index].push_numbers(self.rows, values);
        }
    }

    fn finish(self) -> Vec<ValueColumn> {
        let roles = TrafficRole::ALL.map(|role| Arc::from(role.as_str())).to_vec();
        let fixed = [
            ("prediction_id", Values::Text(self.prediction_id)),
            ("request_id", Values::Text(self.request_id)),
            ("row", Values::Int(self.row)),
            ("version", Values::Int(self.version)),
            ("part", Values::Text(TextColumn { codes: self.role, values: roles })),
            ("status", Values::Int(self.status)),
            ("wall_ms", Values::Int(self.wall_ms)),
            ("project_ms", Values::Int(self.project_ms)),
            ("latency_us", Values::Int(self.latency_us)),
        ];
        let fixed = fixed.map(|(name, values)| ValueColumn { name: name.to_owned(), values });
        let sparse = self.inputs.into_iter().chain(self.scores).map(|column| column.finish(self.rows));
        fixed.into_iter().chain(sparse).collect()
    }
}

/// The index of the column of a name and kind, which is added when missing.
fn find_or_add(columns: &mut Vec<SparseColumn>, name: &str, kind: InputKind) -> usize {
    columns.iter().position(|column| column.name == name && column.kind() == kind).unwrap_or_else(|| {
        columns.push(SparseColumn::new(name, kind));
        columns.len() - 1
    })
}

/// A column that some requests lack.
struct SparseColumn {
    name: String,
    values: Column,
    codes: HashMap<Arc<str>, u32>,
}

impl SparseColumn {
    fn new(name: &str, kind: InputKind) -> Self {
        let values = match kind {
            InputKind::Number => Column::Number(Vec::new()),
            InputKind::Text => Column::Text(TextColumn::default()),
        };
        Self { name: name.to_owned(), values, codes: HashMap::new() }
    }

    fn kind(&self) -> InputKind {
        match self.values {
            Column::Number(_) => InputKind::Number,
            Column::Text(_) => InputKind::Text,
        }
    }

    /// Appends values as the rows from `at` on; the rows between are missing values.
    fn push(&mut self, at: usize, column: &Column) {
        match column {
            Column::Number(values) => self.push_numbers(at, values.iter().copied()),
            Column::Text(text) => self.push_text(at, text),
        }
    }

    fn push_numbers(&mut self, at: usize, values: impl Iterator<Item = f64>) {
        if let Column::Number(own) = &mut self.values {
            own.resize(at, f64::NAN);
            own.extend(values);
        }
    }

    fn push_text(&mut self, at: usize, text: &TextColumn) {
        let Column::Text(own) = &mut self.values else { return };
        own.codes.resize(at, MISSING);
        let codes: Vec<u32> = text
            .values
            .iter()
            .map(|value| {
                *self.codes.entry(value.clone()).or_insert_with(|| {
                    own.values.push(value.clone());
                    own.values.len() as u32 - 1
                })
            })
            .collect();
        own.codes.extend(text.codes.iter().map(|code| codes.get(*code as usize).copied().unwrap_or(MISSING)));
    }

    fn finish(self, rows: usize) -> ValueColumn {
        let values = match self.values {
            Column::Number(mut values) => {
                values.resize(rows, f64::NAN);
                Values::Float(values)
            }
            Column::Text(mut text) => {
                text.codes.resize(rows, MISSING);
                Values::Text(text)
            }
        };
        ValueColumn { name: self.name, values }
    }
}
