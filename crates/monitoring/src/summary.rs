//! Counts of a time span's rows on the bins of a reference.

use std::collections::HashMap;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::edges::{bin_index, clamp_to_finite};
use crate::error::Error;
use crate::reference::{Categories, Distribution, Feature, Numbers, Reference};

/// Counts of rows on the bins of a [`Reference`]. The summaries of parts add up to the summary of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The [`Reference::fingerprint`] of the reference whose bins are counted.
    pub fingerprint: String,
    /// Number of rows.
    pub rows: u64,
    /// Counts for each feature, in the reference's order.
    pub features: Vec<Counts>,
    /// Counts for each score, in the reference's order.
    pub scores: Vec<Counts>,
}

/// Counts of rows by bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Numbers: by fine bin, the last one above all edges. Categories: by listed value, then all others.
    pub bins: Vec<u64>,
    /// Rows in which the value is missing.
    pub missing: u64,
}

impl Counts {
    /// Zero counts on the same bins.
    fn empty(like: &Self) -> Self {
        Self { bins: vec![0; like.bins.len()], missing: 0 }
    }

    /// Number of rows, including missing values.
    pub fn rows(&self) -> u64 {
        self.bins.iter().sum::<u64>() + self.missing
    }

    fn add(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.missing += other.missing;
    }

    fn add_numbers(&mut self, numbers: &Numbers, values: impl Iterator<Item = f64>) {
        for value in values {
            if value.is_nan() {
                self.missing += 1;
            } else if let Some(count) = self.bins.get_mut(bin_index(&numbers.edges, clamp_to_finite(value))) {
                *count += 1;
            }
        }
    }

    fn add_text(&mut self, categories: &Categories, text: &TextColumn) {
        let listed: HashMap<&str, usize> =
            categories.values.iter().enumerate().map(|(index, value)| (value.as_str(), index)).collect();
        let other = categories.values.len();
        let bin_of_code: Vec<usize> =
            text.values.iter().map(|value| listed.get(value.as_ref()).copied().unwrap_or(other)).collect();
        for &code in &text.codes {
            match bin_of_code.get(code as usize) {
                None => self.missing += 1,
                Some(&index) => self.bins[index] += 1,
            }
        }
    }
}

impl Summary {
    /// Creates an empty summary on the bins of `reference`.
    pub fn new(reference: &Reference) -> Self {
        let empty = |features: &[Feature]| features.iter().map(|feature| Counts::empty(&feature.counts)).collect();
        Self {
            fingerprint: reference.fingerprint(),
            rows: 0,
            features: empty(&reference.features),
            scores: empty(&reference.scores),
        }
    }

    /// Counts rows, given by their features (found by name) and the model's scores.
    ///
    /// # Errors
    /// When `reference` has other bins than this summary, a feature is absent or
    /// of another type, or the scores differ in width. Nothing is counted then.
    pub fn add(&mut self, reference: &Reference, features: &Frame, scores: &Scores) -> Result<(), Error> {
        self.validate_reference(reference)?;
        if scores.width != reference.scores.len() {
            return Err(Error::Width { expected: reference.scores.len(), found: scores.width });
        }
        let columns: Vec<&Column> =
            reference.features.iter().map(|feature| matching_column(feature, features)).collect::<Result<_, _>>()?;
        for ((feature, column), counts) in reference.features.iter().zip(columns).zip(&mut self.features) {
            match (&feature.distribution, column) {
                (Distribution::Numbers(numbers), Column::Number(values)) => {
                    counts.add_numbers(numbers, values.iter().copied());
                }
                (Distribution::Categories(categories), Column::Text(text)) => {
                    counts.add_text(categories, text);
                }
                // A column of another type is accepted only when all its values are missing.
                _ => counts.missing += column.len() as u64,
            }
        }
        for (index, (feature, counts)) in reference.scores.iter().zip(&mut self.scores).enumerate() {
            if let Distribution::Numbers(numbers) = &feature.distribution {
                counts.add_numbers(numbers, scores.values.iter().skip(index).step_by(scores.width).copied());
            }
        }
        self.rows += features.rows() as u64;
        Ok(())
    }

    /// Adds the counts of another summary.
    ///
    /// # Errors
    /// [`Error::ReferenceMismatch`] when it was made for another reference.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.fingerprint != other.fingerprint {
            return Err(Error::ReferenceMismatch {
                expected: self.fingerprint.clone(),
                found: other.fingerprint.clone(),
            });
        }
        self.rows += other.rows;
        let ours = self.features.iter_mut().chain(&mut self.scores);
        for (counts, more) in ours.zip(other.features.iter().chain(&other.scores)) {
            counts.add(more);
        }
        Ok(())
    }

    /// Returns an error when `reference` has other bins than this summary.
    pub(crate) fn validate_reference(&self, reference: &Reference) -> Result<(), Error> {
        let expected = reference.fingerprint();
        if self.fingerprint == expected {
            Ok(())
        } else {
            Err(Error::ReferenceMismatch { expected, found: self.fingerprint.clone() })
        }
    }
}

/// The feature's column, if its type matches or all its values are missing.
fn matching_column<'a>(feature: &Feature, frame: &'a Frame) -> Result<&'a Column, Error> {
    let column = frame.column(&feature.name).ok_or_else(|| Error::Column { column: feature.name.clone() })?;
    let (expected, found) = match (&feature.distribution, column) {
        (Distribution::Numbers(_), Column::Text(_)) => ("numbers", "text"),
        (Distribution::Categories(_), Column::Number(_)) => ("text", "numbers"),
        _ => return Ok(column),
    };
    if (0..column.len()).all(|row| column.is_missing(row)) {
        return Ok(column);
    }
    Err(Error::Kind { column: feature.name.clone(), expected, found })
}
