//! Features as columns of numbers: dense ones, and ones of which a row has exactly one.

use rayon::prelude::*;

use crate::features::{Feature, Reading, Values};

/// How each feature becomes columns. Dense columns come first, then those of the categories.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    terms: Vec<Term>,
    dense: usize,
    columns: usize,
}

/// The columns of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Term {
    /// A number.
    Number {
        /// Its dense column.
        column: usize,
        /// What missing is taken for.
        fill: f32,
        /// Subtracted.
        offset: f32,
        /// Multiplied with afterwards; 0 for a column that does not vary.
        scale: f32,
        /// The dense column that is 1 where it is missing.
        indicator: Option<usize>,
    },
    /// A category.
    Category {
        /// The column of code 0.
        first: usize,
        /// Codes, *other* and missing included.
        codes: usize,
        /// Which of a row's codes it is.
        position: usize,
    },
}

/// The columns of some rows.
pub(super) struct Design {
    rows: usize,
    dense: usize,
    columns: usize,
    categories: usize,
    /// `rows × dense`.
    numbers: Vec<f32>,
    /// `rows × categories`: the one column that is 1.
    ones: Vec<u32>,
}

impl Plan {
    /// Settles it from the training values.
    pub(super) fn learn(features: &[Feature], values: &[Values]) -> Self {
        let mut terms: Vec<Term> = features.par_iter().zip(values).map(|(f, v)| Term::learn(f, v)).collect();
        let mut dense = 0;
        for term in &mut terms {
            if let Term::Number { column, .. } = term {
                *column = dense;
                dense += 1;
            }
        }
        for term in &mut terms {
            if let Term::Number { indicator: Some(column), .. } = term {
                *column = dense;
                dense += 1;
            }
        }
        let (mut columns, mut categories) = (dense, 0);
        for term in &mut terms {
            if let Term::Category { first, codes, position } = term {
                *first = columns;
                *position = categories;
                columns += *codes;
                categories += 1;
            }
        }
        Self { terms, dense, columns }
    }

    /// One entry a feature.
    pub(super) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// All columns.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The columns of `values`, which are those of the features that it was learnt from.
    pub(super) fn apply(&self, values: &[Values]) -> Design {
        let rows = values.first().map_or(0, Values::len);
        let categories = self.terms.iter().filter(|term| matches!(term, Term::Category { .. })).count();
        let mut numbers = vec![0.0; rows * self.dense];
        let mut ones = vec![0; rows * categories];
        for (term, values) in self.terms.iter().zip(values) {
            match (*term, values) {
                (Term::Number { column, fill, offset, scale, indicator }, Values::Numbers(values)) => {
                    for (row, &value) in numbers.chunks_mut(self.dense).zip(values) {
                        let filled = if value.is_nan() { fill } else { value };
                        row[column] = (filled - offset) * scale;
                        if let Some(indicator) = indicator {
                            row[indicator] = f32::from(u8::from(value.is_nan()));
                        }
                    }
                }
                (Term::Category { first, position, .. }, Values::Codes(codes)) => {
                    for (row, &code) in ones.chunks_mut(categories).zip(codes) {
                        row[position] = first as u32 + code;
                    }
                }
                (Term::Number { .. }, Values::Codes(_)) | (Term::Category { .. }, Values::Numbers(_)) => {
                    debug_assert!(false, "values are read as the features say");
                }
            }
        }
        Design { rows, dense: self.dense, columns: self.columns, categories, numbers, ones }
    }
}

impl Term {
    /// Columns are counted afterwards.
    fn learn(feature: &Feature, values: &Values) -> Self {
        let numbers = match (&feature.reading, values) {
            (Reading::Category(categories), _) => {
                return Self::Category { first: 0, codes: categories.codes(), position: 0 };
            }
            (Reading::Number, Values::Numbers(numbers)) => numbers.as_slice(),
            (Reading::Number, Values::Codes(_)) => &[],
        };
        let mut known: Vec<f32> = numbers.iter().copied().filter(|number| !number.is_nan()).collect();
        if known.is_empty() {
            return Self::Number { column: 0, fill: 0.0, offset: 0.0, scale: 0.0, indicator: None };
        }
        let fill = median(&mut known);
        let filled = || numbers.iter().map(|&number| f64::from(if number.is_nan() { fill } else { number }));
        let rows = numbers.len() as f64;
        let mean = filled().sum::<f64>() / rows;
        let variance = filled().map(|value| (value - mean).powi(2)).sum::<f64>() / rows;
        let scale = (1.0 / variance.sqrt()) as f32;
        let varies = filled().any(|value| value != f64::from(fill)) && scale.is_finite();
        let indicator = (known.len() < numbers.len()).then_some(0);
        Self::Number { column: 0, fill, offset: mean as f32, scale: if varies { scale } else { 0.0 }, indicator }
    }
}

/// The middle value; between the two middle ones where their number is even.
fn median(values: &mut [f32]) -> f32 {
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().max_by(f32::total_cmp).unwrap_or(upper);
    lower + (upper - lower) / 2.0
}

impl Design {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// A row's dense columns, and the columns of its categories.
    pub(super) fn row(&self, row: usize) -> (&[f32], &[u32]) {
        (
            &self.numbers[row * self.dense..(row + 1) * self.dense],
            &self.ones[row * self.categories..(row + 1) * self.categories],
        )
    }

    /// A row's scores; `coefficients` are `outputs × (columns + 1)`, the intercept last.
    pub(super) fn scores(&self, row: usize, coefficients: &[f64], scores: &mut [f64]) {
        let (numbers, ones) = self.row(row);
        for (score, coefficients) in scores.iter_mut().zip(coefficients.chunks(self.columns + 1)) {
            let dense: f64 = numbers.iter().zip(coefficients).map(|(&x, c)| f64::from(x) * c).sum();
            let sparse: f64 = ones.iter().map(|&column| coefficients[column as usize]).sum();
            *score = dense + sparse + coefficients[self.columns];
        }
    }

    /// Adds a row to `sums`, `outputs × (columns + 1)`, each output's part times its `weights`.
    pub(super) fn add(&self, row: usize, weights: &[f64], sums: &mut [f64]) {
        let (numbers, ones) = self.row(row);
        for (&weight, sums) in weights.iter().zip(sums.chunks_mut(self.columns + 1)) {
            numbers.iter().zip(sums.iter_mut()).for_each(|(&x, sum)| *sum += weight * f64::from(x));
            for &column in ones {
                sums[column as usize] += weight;
            }
            sums[self.columns] += weight;
        }
    }

    /// What one feature adds to one output's score.
    pub(super) fn term(&self, row: usize, term: &Term, coefficients: &[f64]) -> f64 {
        let (numbers, ones) = self.row(row);
        let dense = |column: usize| f64::from(numbers[column]) * coefficients[column];
        match *term {
            Term::Number { column, indicator, .. } => dense(column) + indicator.map_or(0.0, dense),
            Term::Category { position, .. } => coefficients[ones[position] as usize],
        }
    }
}
