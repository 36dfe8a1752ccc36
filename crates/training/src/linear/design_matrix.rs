//! The design matrix: dense columns of numbers, and one-hot columns stored as the index of the active one.

use rayon::prelude::*;

use crate::features::{Encoding, Feature, Values};

/// Encodes features as columns: dense columns first, then the one-hot columns of categories.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Encoder {
    terms: Vec<Term>,
    dense: usize,
    columns: usize,
}

/// The columns of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Term {
    /// A number feature.
    Number {
        /// Its dense column.
        column: usize,
        /// Replaces missing values.
        fill: f32,
        /// Subtracted from each value.
        offset: f32,
        /// Factor applied after the subtraction; 0 for a constant column.
        scale: f32,
        /// The dense column that is 1 where the value is missing.
        indicator: Option<usize>,
    },
    /// A categorical feature.
    Category {
        /// The column of code 0.
        first: usize,
        /// Number of codes, including *other* and missing.
        codes: usize,
        /// Its index among the categorical features.
        position: usize,
    },
}

/// The encoded rows.
pub(super) struct DesignMatrix {
    rows: usize,
    dense: usize,
    columns: usize,
    categories: usize,
    /// The dense values, `rows × dense`.
    numbers: Vec<f32>,
    /// The active one-hot column of each categorical feature, `rows × categories`.
    active: Vec<u32>,
}

impl Encoder {
    /// Determines the columns from the training values.
    pub(super) fn fit(features: &[Feature], values: &[Values]) -> Self {
        let mut terms: Vec<Term> = features.par_iter().zip(values).map(|(f, v)| Term::fit(f, v)).collect();
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

    /// One entry for each feature.
    pub(super) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Encodes values of the same features.
    pub(super) fn transform(&self, values: &[Values]) -> DesignMatrix {
        let rows = values.first().map_or(0, Values::len);
        let categories = self.terms.iter().filter(|term| matches!(term, Term::Category { .. })).count();
        let mut numbers = vec![0.0; rows * self.dense];
        let mut active = vec![0; rows * categories];
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
                    for (row, &code) in active.chunks_mut(categories).zip(codes) {
                        row[position] = first as u32 + code;
                    }
                }
                (Term::Number { .. }, Values::Codes(_)) | (Term::Category { .. }, Values::Numbers(_)) => {
                    debug_assert!(false, "values match the encoding of their feature");
                }
            }
        }
        DesignMatrix { rows, dense: self.dense, columns: self.columns, categories, numbers, active }
    }
}

impl Term {
    /// Determines imputation and scaling of one feature; `Encoder::fit` assigns the columns.
    fn fit(feature: &Feature, values: &Values) -> Self {
        let numbers = match (&feature.encoding, values) {
            (Encoding::Category(categories), _) => {
                return Self::Category { first: 0, codes: categories.code_count(), position: 0 };
            }
            (Encoding::Number, Values::Numbers(numbers)) => numbers.as_slice(),
            (Encoding::Number, Values::Codes(_)) => &[],
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
        let is_varying = filled().any(|value| value != f64::from(fill)) && scale.is_finite();
        let indicator = (known.len() < numbers.len()).then_some(0);
        Self::Number { column: 0, fill, offset: mean as f32, scale: if is_varying { scale } else { 0.0 }, indicator }
    }
}

/// The median; the midpoint of the two middle values if their number is even.
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

impl DesignMatrix {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The dense values of a row, and its active one-hot columns.
    pub(super) fn row(&self, row: usize) -> (&[f32], &[u32]) {
        (
            &self.numbers[row * self.dense..(row + 1) * self.dense],
            &self.active[row * self.categories..(row + 1) * self.categories],
        )
    }

    /// Computes the raw scores of a row; `coefficients` are `outputs × (columns + 1)`, each intercept last.
    pub(super) fn scores(&self, row: usize, coefficients: &[f64], scores: &mut [f64]) {
        let (numbers, active) = self.row(row);
        for (score, coefficients) in scores.iter_mut().zip(coefficients.chunks(self.columns + 1)) {
            let dense: f64 = numbers.iter().zip(coefficients).map(|(&x, c)| f64::from(x) * c).sum();
            let sparse: f64 = active.iter().map(|&column| coefficients[column as usize]).sum();
            *score = dense + sparse + coefficients[self.columns];
        }
    }

    /// Adds a row, multiplied by the weight of each output, to `sums`, `outputs × (columns + 1)`.
    pub(super) fn add(&self, row: usize, weights: &[f64], sums: &mut [f64]) {
        let (numbers, active) = self.row(row);
        for (&weight, sums) in weights.iter().zip(sums.chunks_mut(self.columns + 1)) {
            numbers.iter().zip(sums.iter_mut()).for_each(|(&x, sum)| *sum += weight * f64::from(x));
            for &column in active {
                sums[column as usize] += weight;
            }
            sums[self.columns] += weight;
        }
    }

    /// The contribution of one feature to the score of one output.
    pub(super) fn term(&self, row: usize, term: &Term, coefficients: &[f64]) -> f64 {
        let (numbers, active) = self.row(row);
        let dense = |column: usize| f64::from(numbers[column]) * coefficients[column];
        match *term {
            Term::Number { column, indicator, .. } => dense(column) + indicator.map_or(0.0, dense),
            Term::Category { position, .. } => coefficients[active[position] as usize],
        }
    }
}
