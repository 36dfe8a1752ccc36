//! Reads the CSV that `flights.py export` writes.

use std::path::Path;

use perennial_core::frame::{Column, Frame, TextColumn};

/// Index of the first feature column, after month and target.
const FIRST_FEATURE: usize = 2;
/// Text columns.
const TEXTS: [&str; 3] = ["carrier", "origin", "dest"];

/// Features and outcomes of a range of months.
pub(crate) struct Rows {
    pub(crate) features: Frame,
    pub(crate) late: Vec<f64>,
}

/// The rows of January to May, and those of June.
pub(crate) fn split(csv: &Path) -> (Rows, Rows) {
    let mut reader = csv::Reader::from_path(csv).expect("the CSV of `flights.py export`");
    let names = reader.headers().expect("a header").clone();
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("a row")).collect();
    let (training, test): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| &record[0] != "6");
    (rows(&names, &training), rows(&names, &test))
}

fn rows(names: &csv::StringRecord, records: &[csv::StringRecord]) -> Rows {
    let mut features = Frame::new();
    for (column, name) in names.iter().enumerate().skip(FIRST_FEATURE) {
        let values = records.iter().map(|record| Some(&record[column]).filter(|value| !value.is_empty()));
        let number = |value: Option<&str>| value.map_or(f64::NAN, |value| value.parse().expect("a number"));
        let column = if TEXTS.contains(&name) {
            Column::Text(TextColumn::encode(values))
        } else {
            Column::Number(values.map(number).collect())
        };
        features.push(name, column);
    }
    Rows { features, late: records.iter().map(|record| record[1].parse().expect("0 or 1")).collect() }
}

/// The area under the ROC curve, by ranks with ties averaged.
pub(crate) fn auc(truth: &[f64], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..truth.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut ranks, mut rank) = (0.0, 0_u32);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let middle = f64::midpoint(f64::from(rank) + 1.0, f64::from(rank + tied.len() as u32));
        ranks += middle * tied.iter().map(|&row| truth[row]).sum::<f64>();
        rank += tied.len() as u32;
    }
    let positives: f64 = truth.iter().sum();
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * (truth.len() as f64 - positives))
}
