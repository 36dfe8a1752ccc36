//! A closed segment as columns. Types come from what the log says of itself: numbers are floats,
//! text is text, whatever the values are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use perennial_core::frame::{Column, MISSING, TextColumn};
use perennial_core::model::{InputKind, Scores};
use perennial_core::port::data::{ValueColumn, Values};
use perennial_core::port::prediction::{Part, Segment};

use super::error::LogError;
use super::record::{self, Logged, Scan};

/// Reads all of a segment.
pub(super) fn segment(path: &Path, bytes: &[u8]) -> Result<Segment, LogError> {
    let scan = record::scan(bytes);
    if let Some(why) = scan.torn {
        return Err(LogError::damaged(path, scan.end as usize, why));
    }
    let mut rows = Rows::default();
    let mut end = 0;
    record::each(bytes, &mut end, |payload| {
        if record::is_description(payload) {
            return Ok(());
        }
        let logged = record::decode(payload, &scan.columns).ok_or("a record does not fit its columns")?;
        rows.take(&logged, &scan);
        Ok(())
    })
    .map_err(|why| LogError::damaged(path, end as usize, why))?;
    let digest = blake3::hash(bytes).to_hex().to_string();
    Ok(Segment { records: scan.records, digest, columns: rows.finish() })
}

/// The rows so far.
#[derive(Default)]
struct Rows {
    count: usize,
    prediction_id: TextColumn,
    request_id: TextColumn,
    row: Vec<i64>,
    version: Vec<i64>,
    part: Vec<u32>,
    status: Vec<i64>,
    wall_ms: Vec<i64>,
    project_ms: Vec<i64>,
    latency_us: Vec<i64>,
    inputs: Vec<Growing>,
    /// Which inputs the columns of a description are.
    described: HashMap<u64, Vec<usize>>,
    scores: Vec<Growing>,
}

impl Rows {
    /// Takes up a request's rows. One that failed before its rows were read is one row without
    /// inputs, so that it counts.
    fn take(&mut self, logged: &Logged, scan: &Scan) {
        let rows = logged.rows.max(1);
        let request = logged.request.to_string();
        for row in 0..rows {
            self.prediction_id.codes.push(self.prediction_id.values.len() as u32);
            self.prediction_id.values.push(Arc::from(format!("{request}-{row}")));
            self.row.push(row as i64);
        }
        let again = |column: &mut Vec<i64>, value: i64| column.extend(std::iter::repeat_n(value, rows));
        again(&mut self.version, logged.version);
        again(&mut self.status, logged.status.into());
        again(&mut self.wall_ms, logged.wall_ms);
        again(&mut self.project_ms, logged.project_ms);
        again(&mut self.latency_us, i64::try_from(logged.latency_us).unwrap_or(i64::MAX));
        self.request_id.codes.extend(std::iter::repeat_n(self.request_id.values.len() as u32, rows));
        self.request_id.values.push(Arc::from(request));
        self.part.extend(std::iter::repeat_n(logged.part as u32, rows));
        if logged.rows > 0 {
            self.take_inputs(logged, scan);
            if let Some(scores) = &logged.scores {
                self.take_scores(scores);
            }
        }
        self.count += rows;
    }

    fn take_inputs(&mut self, logged: &Logged, scan: &Scan) {
        let inputs = &mut self.inputs;
        let places = self.described.entry(logged.columns).or_insert_with(|| {
            let columns = scan.columns.get(&logged.columns).into_iter().flatten();
            columns.map(|(name, kind)| place_of(inputs, &format!("in_{name}"), *kind)).collect()
        });
        for (place, column) in places.iter().zip(&logged.inputs) {
            inputs[*place].take(self.count, column);
        }
    }

    fn take_scores(&mut self, scores: &Scores) {
        for class in 0..scores.width {
            let name = match scores.width {
                1 => Cow::Borrowed("score"),
                _ => Cow::Owned(format!("score_{class}")),
            };
            let place = place_of(&mut self.scores, &name, InputKind::Number);
            let values = scores.values.iter().skip(class).step_by(scores.width).copied();
            self.scores[place].take_numbers(self.count, values);
        }
    }

    fn finish(self) -> Vec<ValueColumn> {
        let part = TextColumn { codes: self.part, values: Part::ALL.map(|part| Arc::from(part.as_str())).to_vec() };
        let fixed = [
            ("prediction_id", Values::Text(self.prediction_id)),
            ("request_id", Values::Text(self.request_id)),
            ("row", Values::Int(self.row)),
            ("version", Values::Int(self.version)),
            ("part", Values::Text(part)),
            ("status", Values::Int(self.status)),
            ("wall_ms", Values::Int(self.wall_ms)),
            ("project_ms", Values::Int(self.project_ms)),
            ("latency_us", Values::Int(self.latency_us)),
        ];
        let fixed = fixed.map(|(name, values)| ValueColumn { name: name.to_owned(), values });
        let grown = self.inputs.into_iter().chain(self.scores).map(|column| column.finish(self.count));
        fixed.into_iter().chain(grown).collect()
    }
}

/// Where the column of a name and kind is; a new one where there is none.
fn place_of(columns: &mut Vec<Growing>, name: &str, kind: InputKind) -> usize {
    columns.iter().position(|column| column.name == name && column.kind() == kind).unwrap_or_else(|| {
        columns.push(Growing::new(name, kind));
        columns.len() - 1
    })
}

/// A column that not every request has.
struct Growing {
    name: String,
    values: Column,
    codes: HashMap<Arc<str>, u32>,
}

impl Growing {
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

    /// Appends values as rows from `at` on; what lies between is missing.
    fn take(&mut self, at: usize, column: &Column) {
        match column {
            Column::Number(values) => self.take_numbers(at, values.iter().copied()),
            Column::Text(text) => self.take_text(at, text),
        }
    }

    fn take_numbers(&mut self, at: usize, values: impl Iterator<Item = f64>) {
        if let Column::Number(own) = &mut self.values {
            own.resize(at, f64::NAN);
            own.extend(values);
        }
    }

    fn take_text(&mut self, at: usize, text: &TextColumn) {
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
