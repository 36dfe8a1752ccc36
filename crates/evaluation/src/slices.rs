//! Metrics by slice: the rows that share a value of a column.

use std::cmp::Reverse;
use std::collections::HashMap;

use perennial_core::frame::{Column, Frame};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compute::compute_metrics;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::scored_rows::ScoredRows;

/// Maximum number of slices a column: its most frequent values.
pub const MAX_SLICES: usize = 50;

/// The slice of missing values, as facts spell it.
const NULL: &str = "null";

/// The metrics of the rows that share one value of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The column.
    pub column: String,
    /// The shared value; `None` for the rows without a value.
    pub value: Option<String>,
    /// Metrics over the slice's labelled rows, without per-class metrics.
    pub metrics: Metrics,
}

impl Slice {
    /// The slice as facts: `column`, `value` (the text `null` when missing), `rows` and the metrics.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = self.metrics.facts();
        facts.insert("column".to_owned(), Value::from(self.column.as_str()));
        facts.insert("value".to_owned(), Value::from(self.value.as_deref().unwrap_or(NULL)));
        facts
    }
}

/// Computes the metrics of each slice; see [`crate::evaluate`].
pub(crate) fn evaluate_slices<S: AsRef<str>>(
    scored: &ScoredRows<'_>,
    frame: &Frame,
    columns: &[S],
) -> Result<Vec<Slice>, Error> {
    let mut slices = Vec::new();
    for name in columns {
        let name = name.as_ref();
        let column = frame.column(name).ok_or_else(|| Error::Column { column: name.to_owned() })?;
        if column.len() != scored.outcomes.rows() {
            return Err(Error::Rows { scores: column.len(), outcomes: scored.outcomes.rows() });
        }
        for (value, rows) in groups(column, &scored.order) {
            let metrics = Metrics { classes: Vec::new(), ..compute_metrics(scored, &rows) };
            slices.push(Slice { column: name.to_owned(), value, metrics });
        }
    }
    Ok(slices)
}

/// Groups the rows of `order` by the column's value, keeping their order; only the most frequent values.
fn groups(column: &Column, order: &[u32]) -> Vec<(Option<String>, Vec<u32>)> {
    let (codes, names) = encode(column);
    let mut counts = vec![0_usize; names.len()];
    for &row in order {
        counts[codes[row as usize] as usize] += 1;
    }
    let mut kept: Vec<usize> = (0..names.len()).filter(|&code| counts[code] > 0).collect();
    kept.sort_by(|&left, &right| (Reverse(counts[left]), &names[left]).cmp(&(Reverse(counts[right]), &names[right])));
    kept.truncate(MAX_SLICES);
    let mut group_of_code = vec![usize::MAX; names.len()];
    let mut groups: Vec<(Option<String>, Vec<u32>)> = Vec::with_capacity(kept.len());
    for code in kept {
        group_of_code[code] = groups.len();
        groups.push((names[code].clone(), Vec::with_capacity(counts[code])));
    }
    for &row in order {
        if let Some((_, rows)) = groups.get_mut(group_of_code[codes[row as usize] as usize]) {
            rows.push(row);
        }
    }
    groups
}

/// Encodes a column: one code a row, and the value of each code.
fn encode(column: &Column) -> (Vec<u32>, Vec<Option<String>>) {
    match column {
        Column::Text(text) => {
            let missing = text.values.len() as u32;
            let codes = text.codes.iter().map(|&code| code.min(missing)).collect();
            let names = text.values.iter().map(|value| Some(value.to_string())).chain([None]).collect();
            (codes, names)
        }
        Column::Number(values) => {
            let mut index: HashMap<u64, u32> = HashMap::new();
            let mut names = Vec::new();
            let codes = values.iter().map(|&value| {
                // All NaN map to one value, and -0 to 0.
                let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
                *index.entry(value.to_bits()).or_insert_with(|| {
                    names.push((!value.is_nan()).then(|| value.to_string()));
                    names.len() as u32 - 1
                })
            });
            let codes = codes.collect();
            (codes, names)
        }
    }
}
