//! The features of a model: how each column of a frame is read, in training and ever after.
//!
//! Text is a category: one of the [`CATEGORIES_MAX`] most frequent training
//! values, *other*, or missing. The empty text is missing, because text tensors
//! of ONNX know no null. Numbers are 32-bit floats from the start, so that
//! trainer, evaluator and ONNX Runtime see the same values.

use std::collections::HashMap;
use std::sync::Arc;

use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::model::{Input, InputKind, PredictError};
use rayon::prelude::*;

use crate::Error;

/// Values of a text column that are categories of their own, at most.
pub const CATEGORIES_MAX: usize = 255;

/// One column, as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    /// The column's name.
    pub(crate) name: String,
    /// How it is read.
    pub(crate) reading: Reading,
}

/// How a column is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// As a 32-bit float; NaN is missing.
    Number,
    /// As a category.
    Category(Categories),
}

/// The categories of a text column, the most frequent first. A value's code is
/// its position; after the last come *other* and missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Categories(Vec<Arc<str>>);

/// A column that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Numbers.
    Numbers(Vec<f32>),
    /// Codes of [`Categories`].
    Codes(Vec<u32>),
}

impl Values {
    /// Rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Codes(codes) => codes.len(),
        }
    }
}

/// Settles the features from the training rows.
pub(crate) fn learn(frame: &Frame) -> Result<Vec<Feature>, Error> {
    frame
        .names()
        .par_iter()
        .zip(frame.columns())
        .map(|(name, column)| {
            let reading = match column {
                Column::Number(values) => {
                    let infinite = |value: &f64| !value.is_nan() && !(*value as f32).is_finite();
                    if let Some(row) = values.iter().position(infinite) {
                        return Err(Error::NotFinite { feature: name.clone(), row, value: values[row] });
                    }
                    Reading::Number
                }
                Column::Text(text) => Reading::Category(Categories::learn(text)),
            };
            Ok(Feature { name: name.clone(), reading })
        })
        .collect()
}

/// Reads the features out of `frame`, by name, in the model's order.
pub(crate) fn read(features: &[Feature], frame: &Frame) -> Result<Vec<Values>, PredictError> {
    features.par_iter().map(|feature| feature.read(frame)).collect()
}

impl Feature {
    /// The feature as the signature tells it.
    pub(crate) fn input(&self) -> Input {
        let kind = match self.reading {
            Reading::Number => InputKind::Number,
            Reading::Category(_) => InputKind::Text,
        };
        Input { name: self.name.clone(), kind }
    }

    fn read(&self, frame: &Frame) -> Result<Values, PredictError> {
        let name = &self.name;
        let column = frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))?;
        let all_missing = || (0..column.len()).all(|row| column.is_missing(row));
        match (&self.reading, column) {
            (Reading::Number, Column::Number(values)) => {
                Ok(Values::Numbers(values.iter().map(|&value| value as f32).collect()))
            }
            (Reading::Category(categories), Column::Text(text)) => Ok(Values::Codes(categories.read(text))),
            // A column of nulls alone may have come under either kind.
            (Reading::Number, Column::Text(_)) if all_missing() => Ok(Values::Numbers(vec![f32::NAN; column.len()])),
            (Reading::Category(categories), Column::Number(_)) if all_missing() => {
                Ok(Values::Codes(vec![categories.missing(); column.len()]))
            }
            (Reading::Number, Column::Text(_)) => {
                Err(PredictError::Input(format!("column `{name}` is text, expected numbers")))
            }
            (Reading::Category(_), Column::Number(_)) => {
                Err(PredictError::Input(format!("column `{name}` is numbers, expected text")))
            }
        }
    }
}

impl Categories {
    /// The most frequent values; where two are equally frequent, the one that sorts first.
    fn learn(text: &TextColumn) -> Self {
        let mut counts = vec![0_u64; text.values.len()];
        for &code in text.codes.iter().filter(|&&code| code != MISSING) {
            counts[code as usize] += 1;
        }
        let mut seen: Vec<(u64, &Arc<str>)> =
            counts.into_iter().zip(&text.values).filter(|(count, value)| *count > 0 && !value.is_empty()).collect();
        seen.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        Self(seen.into_iter().take(CATEGORIES_MAX).map(|(_, value)| Arc::clone(value)).collect())
    }

    /// The categories' texts, by code.
    pub(crate) fn texts(&self) -> &[Arc<str>] {
        &self.0
    }

    /// The code of every value that is no category.
    pub(crate) fn other(&self) -> u32 {
        self.0.len() as u32
    }

    /// The code of missing.
    pub(crate) fn missing(&self) -> u32 {
        self.0.len() as u32 + 1
    }

    /// How many codes there are.
    pub(crate) fn codes(&self) -> usize {
        self.0.len() + 2
    }

    fn read(&self, text: &TextColumn) -> Vec<u32> {
        let index: HashMap<&str, u32> = self.0.iter().zip(0..).map(|(text, code)| (text.as_ref(), code)).collect();
        let code_of = |value: &Arc<str>| match value.as_ref() {
            "" => self.missing(),
            value => index.get(value).copied().unwrap_or_else(|| self.other()),
        };
        let codes: Vec<u32> = text.values.iter().map(code_of).collect();
        text.codes.iter().map(|&code| codes.get(code as usize).copied().unwrap_or_else(|| self.missing())).collect()
    }
}

#[cfg(test)]
mod tests;
