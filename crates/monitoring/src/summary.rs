//! What a stretch of time looked like, on the reference's bins.

use std::collections::HashMap;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::edges::{bin, finite};
use crate::error::Error;
use crate::reference::{Categories, Distribution, Feature, Numbers, Reference};

/// Counts of rows on the bins of a [`Reference`]. Summaries of parts add up to that of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The [`Reference::anchor`] whose bins these are.
    pub anchor: String,
    /// Rows added.
    pub rows: u64,
    /// One for each feature of the reference, in its order.
    pub features: Vec<Counts>,
    /// One for each score of the reference.
    pub scores: Vec<Counts>,
}

/// Rows by bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Numbers: by fine bin, the last above all edges. Categories: by listed value, then all others.
    pub bins: Vec<u64>,
    /// Rows that lack the value.
    pub missing: u64,
}

impl Counts {
    /// No rows on as many bins.
    fn empty(like: &Self) -> Self {
        Self { bins: vec![0; like.bins.len()], missing: 0 }
    }

    /// All rows.
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
            } else if let Some(count) = self.bins.get_mut(bin(&numbers.edges, finite(value))) {
                *count += 1;
            }
        }
    }

    fn add_text(&mut self, categories: &Categories, text: &TextColumn) {
        let listed: HashMap<&str, usize> =
            categories.values.iter().enumerate().map(|(place, value)| (value.as_str(), place)).collect();
        let other = categories.values.len();
        let places: Vec<usize> =
            text.values.iter().map(|value| listed.get(value.as_ref()).copied().unwrap_or(other)).collect();
        for &code in &text.codes {
            match places.get(code as usize) {
                None => self.missing += 1,
                Some(&place) => self.bins[place] += 1,
            }
        }
    }
}

impl Summary {
    /// No rows yet, on the bins of `reference`.
    pub fn new(reference: &Reference) -> Self {
        let empty = |features: &[Feature]| features.iter().map(|feature| Counts::empty(&feature.counts)).collect();
        Self {
            anchor: reference.anchor(),
            rows: 0,
            features: empty(&reference.features),
            scores: empty(&reference.scores),
        }
    }

    /// Counts rows: their features by name, and what the model answered. On an error nothing is counted.
    pub fn add(&mut self, reference: &Reference, features: &Frame, scores: &Scores) -> Result<(), Error> {
        self.belongs_to(reference)?;
        if scores.width != reference.scores.len() {
            return Err(Error::Width { expected: reference.scores.len(), found: scores.width });
        }
        let columns: Vec<&Column> =
            reference.features.iter().map(|feature| fitting(feature, features)).collect::<Result<_, _>>()?;
        for ((feature, column), counts) in reference.features.iter().zip(columns).zip(&mut self.features) {
            match (&feature.distribution, column) {
                (Distribution::Numbers(numbers), Column::Number(values)) => {
                    counts.add_numbers(numbers, values.iter().copied());
                }
                (Distribution::Categories(categories), Column::Text(text)) => {
                    counts.add_text(categories, text);
                }
                // An unfit column passed because nothing in it has a value.
                _ => counts.missing += column.len() as u64,
            }
        }
        for (place, (feature, counts)) in reference.scores.iter().zip(&mut self.scores).enumerate() {
            if let Distribution::Numbers(numbers) = &feature.distribution {
                counts.add_numbers(numbers, scores.values.iter().skip(place).step_by(scores.width).copied());
            }
        }
        self.rows += features.rows() as u64;
        Ok(())
    }

    /// Adds the rows of another summary on the same bins.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.anchor != other.anchor {
            return Err(Error::Anchor { expected: self.anchor.clone(), found: other.anchor.clone() });
        }
        self.rows += other.rows;
        let ours = self.features.iter_mut().chain(&mut self.scores);
        for (counts, more) in ours.zip(other.features.iter().chain(&other.scores)) {
            counts.add(more);
        }
        Ok(())
    }

    /// Refuses a reference with other bins.
    pub(crate) fn belongs_to(&self, reference: &Reference) -> Result<(), Error> {
        let expected = reference.anchor();
        if self.anchor == expected { Ok(()) } else { Err(Error::Anchor { expected, found: self.anchor.clone() }) }
    }
}

/// The column of a feature, of its kind or without any value.
fn fitting<'a>(feature: &Feature, frame: &'a Frame) -> Result<&'a Column, Error> {
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
