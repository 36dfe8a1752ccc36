//! Features: how the columns of a frame are encoded, in training and in prediction.
//!
//! Text is categorical: one of the [`CATEGORIES_MAX`] most frequent training
//! values, *other*, or missing. An empty text counts as missing, because ONNX text
//! tensors have no null. Numbers are converted to 32-bit floats first, so that
//! trainer, evaluator and ONNX Runtime work on the same values.

use std::collections::HashMap;
use std::sync::Arc;

use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::model::{Input, InputKind, PredictError};
use rayon::prelude::*;

use crate::Error;

/// Maximum number of values of a text column that are categories of their own.
pub const CATEGORIES_MAX: usize = 255;

/// One column, as the model encodes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    /// The column's name.
    pub(crate) name: String,
    /// Its encoding.
    pub(crate) encoding: Encoding,
}

/// How a column is encoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encoding {
    /// As a 32-bit float; NaN is missing.
    Number,
    /// As a category code.
    Category(Categories),
}

/// The categories of a text column, most frequent first. The code of a category is
/// its index; the codes of *other* and missing follow the last category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Categories(Vec<Arc<str>>);

/// An encoded column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Numbers; NaN is missing.
    Numbers(Vec<f32>),
    /// Codes of [`Categories`].
    Codes(Vec<u32>),
}

impl Values {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Codes(codes) => codes.len(),
        }
    }
}

/// Determines the encoding of each feature from the training rows.
pub(crate) fn fit(frame: &Frame) -> Result<Vec<Feature>, Error> {
    frame
        .names()
        .par_iter()
        .zip(frame.columns())
        .map(|(name, column)| {
            let encoding = match column {
                Column::Number(values) => {
                    let infinite = |value: &f64| !value.is_nan() && !(*value as f32).is_finite();
                    if let Some(row) = values.iter().position(infinite) {
                        return Err(Error::NotFinite { feature: name.clone(), row, value: values[row] });
                    }
                    Encoding::Number
                }
                Column::Text(text) => Encoding::Category(Categories::fit(text)),
            };
            Ok(Feature { name: name.clone(), encoding })
        })
        .collect()
}

/// Encodes the features of `frame`, found by name, in the model's order.
pub(crate) fn encode(features: &[Feature], frame: &Frame) -> Result<Vec<Values>, PredictError> {
    features.par_iter().map(|feature| feature.encode(frame)).collect()
}

impl Feature {
    /// The feature as an input of the signature.
    pub(crate) fn input(&self) -> Input {
        let kind = match self.encoding {
            Encoding::Number => InputKind::Number,
            Encoding::Category(_) => InputKind::Text,
        };
        Input { name: self.name.clone(), kind, time: None }
    }

    fn encode(&self, frame: &Frame) -> Result<Values, PredictError> {
        let name = &self.name;
        let column = frame.column(name).ok_or_else(|| PredictError::Input(format!("column `{name}` is missing")))?;
        let all_missing = || (0..column.len()).all(|row| column.is_missing(row));
        match (&self.encoding, column) {
            (Encoding::Number, Column::Number(values)) => {
                Ok(Values::Numbers(values.iter().map(|&value| value as f32).collect()))
            }
            (Encoding::Category(categories), Column::Text(text)) => Ok(Values::Codes(categories.encode(text))),
            // A column of nulls may have either type.
            (Encoding::Number, Column::Text(_)) if all_missing() => Ok(Values::Numbers(vec![f32::NAN; column.len()])),
            (Encoding::Category(categories), Column::Number(_)) if all_missing() => {
                Ok(Values::Codes(vec![categories.missing(); column.len()]))
            }
            (Encoding::Number, Column::Text(_)) => {
                Err(PredictError::Input(format!("column `{name}` is text, expected numbers")))
            }
            (Encoding::Category(_), Column::Number(_)) => {
                Err(PredictError::Input(format!("column `{name}` is numbers, expected text")))
            }
        }
    }
}

impl Categories {
    /// The most frequent values; ties in alphabetical order.
    fn fit(text: &TextColumn) -> Self {
        let mut counts = vec![0_u64; text.values.len()];
        for &code in text.codes.iter().filter(|&&code| code != MISSING) {
            counts[code as usize] += 1;
        }
        let mut seen: Vec<(u64, &Arc<str>)> =
            counts.into_iter().zip(&text.values).filter(|(count, value)| *count > 0 && !value.is_empty()).collect();
        seen.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        Self(seen.into_iter().take(CATEGORIES_MAX).map(|(_, value)| Arc::clone(value)).collect())
    }

    /// The texts of the categories, by code.
    pub(crate) fn texts(&self) -> &[Arc<str>] {
        &self.0
    }

    /// The code of a value that is not a category.
    pub(crate) fn other(&self) -> u32 {
        self.0.len() as u32
    }

    /// The code of a missing value.
    pub(crate) fn missing(&self) -> u32 {
        self.0.len() as u32 + 1
    }

    /// Number of codes, including *other* and missing.
    pub(crate) fn code_count(&self) -> usize {
        self.0.len() + 2
    }

    fn encode(&self, text: &TextColumn) -> Vec<u32> {
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
