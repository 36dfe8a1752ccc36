//! The reference distributions of a monitor, fixed at release.

use std::cmp::Reverse;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::edges::{clamp_to_finite, edges, quantile};
use crate::summary::Counts;

/// Number of bins of the population stability index for numbers, without the one for missing values.
pub const DECILES: usize = 10;

/// Number of steps of the quantile sketch; a multiple of [`DECILES`]. The
/// Kolmogorov–Smirnov distance computed from it never exceeds the exact one and
/// is less than 2 / `QUANTILES` below it.
pub const QUANTILES: usize = 250;

/// Maximum number of categories with a bin of their own: the most frequent values.
pub const MAX_CATEGORIES: usize = 50;

/// The distributions of features and scores at the release of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Distributions of the features over the training rows.
    pub features: Vec<Feature>,
    /// Distributions of the scores over the test rows: one, or one for each class.
    pub scores: Vec<Feature>,
}

/// The distribution of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name; for scores `score`, or the class.
    pub name: String,
    /// The bins.
    pub distribution: Distribution,
    /// The reference's rows in each bin.
    pub counts: Counts,
}

/// The bins of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Bins of a number column.
    Numbers(Numbers),
    /// Bins of a text column.
    Categories(Categories),
}

/// Bins of numbers: a fine quantile sketch that includes the deciles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Ascending, inclusive upper edges of the fine bins; one more bin follows the last edge.
    pub edges: Vec<f64>,
    /// The subset of `edges` that bounds the decile bins, ascending. Usually nine;
    /// a value that spans several deciles gets a bin of its own.
    pub deciles: Vec<f64>,
}

/// Bins of text: one for each listed value, and one for all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    /// The most frequent values, most frequent first, ties in order of value.
    pub values: Vec<String>,
}

impl Reference {
    /// Computes the distributions of `features` (the feature columns of the training
    /// rows) and of `scores` (the model's predictions for the test rows).
    /// `classes` names the scores of a multiclass model and is empty otherwise.
    pub fn new(features: &Frame, scores: &Scores, classes: &[String]) -> Self {
        let columns = features.names().iter().zip(features.columns());
        let features = columns.map(|(name, column)| Feature::from_column(name, column)).collect();
        let scores = (0..scores.width).map(|index| {
            let name = classes.get(index).map_or("score", String::as_str);
            let values: Vec<f64> = scores.values.iter().skip(index).step_by(scores.width).copied().collect();
            Feature::from_numbers(name, &values)
        });
        Self { features, scores: scores.collect() }
    }

    /// A hash of the bins, not of their counts: references with equal bins have equal fingerprints.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fnv::default();
        for feature in self.features.iter().chain(&self.scores) {
            hash.text(&feature.name);
            match &feature.distribution {
                Distribution::Numbers(numbers) => {
                    for edge in &numbers.edges {
                        hash.bytes(&edge.to_bits().to_le_bytes());
                    }
                }
                Distribution::Categories(categories) => {
                    for value in &categories.values {
                        hash.text(value);
                    }
                }
            }
        }
        format!("{:016x}", hash.0)
    }
}

impl Feature {
    fn from_column(name: &str, column: &Column) -> Self {
        match column {
            Column::Number(values) => Self::from_numbers(name, values),
            Column::Text(text) => Self::from_text(name, text),
        }
    }

    fn from_numbers(name: &str, values: &[f64]) -> Self {
        let mut sorted: Vec<f64> =
            values.iter().filter(|value| !value.is_nan()).map(|&value| clamp_to_finite(value)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let numbers = if sorted.is_empty() {
            Numbers { edges: Vec::new(), deciles: Vec::new() }
        } else {
            let fine: Vec<f64> = (0..=QUANTILES).map(|step| quantile(&sorted, step, QUANTILES)).collect();
            let deciles: Vec<f64> = (1..DECILES).map(|step| quantile(&sorted, step, DECILES)).collect();
            Numbers { edges: edges(&fine), deciles: edges(&deciles) }
        };
        let mut bins = vec![0; numbers.edges.len() + 1];
        let mut start = 0;
        for (bin, edge) in bins.iter_mut().zip(&numbers.edges) {
            let end = sorted.partition_point(|value| value <= edge);
            *bin = (end - start) as u64;
            start = end;
        }
        let counts = Counts { bins, missing: (values.len() - sorted.len()) as u64 };
        Self { name: name.to_owned(), distribution: Distribution::Numbers(numbers), counts }
    }

    fn from_text(name: &str, text: &TextColumn) -> Self {
        let mut rows = vec![0_u64; text.values.len()];
        let mut missing = 0;
        for &code in &text.codes {
            rows.get_mut(code as usize).map_or_else(|| missing += 1, |count| *count += 1);
        }
        let mut order: Vec<usize> = (0..rows.len()).filter(|&code| rows[code] > 0).collect();
        order.sort_by_key(|&code| (Reverse(rows[code]), &text.values[code]));
        let (listed, others) = order.split_at(order.len().min(MAX_CATEGORIES));
        let mut bins: Vec<u64> = listed.iter().map(|&code| rows[code]).collect();
        bins.push(others.iter().map(|&code| rows[code]).sum());
        let values = listed.iter().map(|&code| text.values[code].to_string()).collect();
        let counts = Counts { bins, missing };
        Self { name: name.to_owned(), distribution: Distribution::Categories(Categories { values }), counts }
    }
}

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo). It distinguishes references; it is not cryptographic.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }
}
