//! What a monitor compares with, fixed at release.

use std::cmp::Reverse;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::edges::{edges, finite, quantile};
use crate::summary::Counts;

/// Bins of the population stability index over numbers, missing aside.
pub const DECILES: usize = 10;

/// Steps of the quantile sketch; a multiple of [`DECILES`]. The
/// Kolmogorov–Smirnov distance read from it is never above the true one, and
/// less than 2 / `QUANTILES` below it.
pub const QUANTILES: usize = 250;

/// Categories with a bin of their own: the most frequent values.
pub const MAX_CATEGORIES: usize = 50;

/// The distributions of features and scores when the model was released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Features, from the training rows.
    pub features: Vec<Feature>,
    /// Scores, from the test rows: one, or one a class.
    pub scores: Vec<Feature>,
}

/// The distribution of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name; `score`, or the class, for scores.
    pub name: String,
    /// How its values are dealt out.
    pub distribution: Distribution,
    /// How many rows each bin held.
    pub counts: Counts,
}

/// How values are dealt out to bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Numbers.
    Numbers(Numbers),
    /// Categories.
    Categories(Categories),
}

/// Bins of numbers: a fine sketch, of which deciles are a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Ascending upper edges of the fine bins; one more bin lies above the last.
    /// Bins hold their upper edge.
    pub edges: Vec<f64>,
    /// Those of `edges` that bound the decile bins, ascending. Nine, unless
    /// deciles fall together: a value that several share has a bin of its own.
    pub deciles: Vec<f64>,
}

/// Bins of text: one for each value listed, and one for all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    /// The most frequent values, most frequent first, equals by value.
    pub values: Vec<String>,
}

impl Reference {
    /// Takes the distributions of `features`, the columns of the training rows
    /// that are features, and of `scores`, what the model answered on the test
    /// rows. `classes` names the scores of a multiclass model, else it is empty.
    pub fn of(features: &Frame, scores: &Scores, classes: &[String]) -> Self {
        let columns = features.names().iter().zip(features.columns());
        let features = columns.map(|(name, column)| Feature::of_column(name, column)).collect();
        let scores = (0..scores.width).map(|place| {
            let name = classes.get(place).map_or("score", String::as_str);
            let values: Vec<f64> = scores.values.iter().skip(place).step_by(scores.width).copied().collect();
            Feature::of_numbers(name, &values)
        });
        Self { features, scores: scores.collect() }
    }

    /// Names the bins: the same for the same bins, whatever was counted in them.
    pub fn anchor(&self) -> String {
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
    fn of_column(name: &str, column: &Column) -> Self {
        match column {
            Column::Number(values) => Self::of_numbers(name, values),
            Column::Text(text) => Self::of_text(name, text),
        }
    }

    fn of_numbers(name: &str, values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().filter(|value| !value.is_nan()).map(|&value| finite(value)).collect();
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

    fn of_text(name: &str, text: &TextColumn) -> Self {
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

/// The 64-bit hash of Fowler, Noll and Vo (1a): tells references apart, guards against no one.
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
