//! Association of a single categorical column with the outcome, by out-of-fold target encoding.

use std::collections::HashMap;

use perennial_core::frame::Column;

use super::MAX_CODES;
use crate::rank;

const FOLDS: usize = 5;

/// The labelled rows of a column as category codes; missing is a code of its own.
pub(super) struct Codes {
    codes: Vec<u32>,
    count: usize,
}

/// Encodes text, or a number column with few distinct values; `None` for other number columns.
pub(super) fn codes(column: &Column, labelled: &[u32]) -> Option<Codes> {
    match column {
        Column::Text(text) => {
            let missing = text.values.len() as u32;
            let codes = labelled.iter().map(|&row| text.codes[row as usize].min(missing)).collect();
            Some(Codes { codes, count: text.values.len() + 1 })
        }
        Column::Number(values) => {
            let mut index: HashMap<u64, u32> = HashMap::new();
            let mut codes = Vec::with_capacity(labelled.len());
            for &row in labelled {
                let value = values[row as usize];
                let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
                let next = index.len() as u32;
                codes.push(*index.entry(value.to_bits()).or_insert(next));
                if index.len() > MAX_CODES {
                    return None;
                }
            }
            Some(Codes { codes, count: index.len() })
        }
    }
}

impl Codes {
    /// The AUC of the encoded column. The direction is not flipped below one half:
    /// an out-of-fold encoding of a random column falls below one half by construction.
    pub(super) fn auc(&self, outcome: &[f64]) -> Option<f64> {
        let means = self.means(outcome);
        let mut pairs: Vec<(f64, bool)> =
            means.into_iter().zip(outcome).map(|(mean, &outcome)| (mean, outcome == 1.0)).collect();
        rank::auc(&mut pairs)
    }

    /// The R² of the encoded column.
    pub(super) fn r2(&self, outcome: &[f64]) -> Option<f64> {
        let mean = outcome.iter().sum::<f64>() / outcome.len() as f64;
        let total: f64 = outcome.iter().map(|outcome| (outcome - mean).powi(2)).sum();
        let left: f64 = self.means(outcome).iter().zip(outcome).map(|(mean, outcome)| (outcome - mean).powi(2)).sum();
        let is_constant = outcome.iter().all(|&value| value == outcome[0]);
        (!is_constant && total > 0.0).then(|| 1.0 - left / total)
    }

    /// For each row the mean outcome of its category in the other folds, smoothed
    /// towards the overall mean of these folds with the weight of one row.
    fn means(&self, outcome: &[f64]) -> Vec<f64> {
        let mut by_code = vec![[(0.0, 0.0); FOLDS]; self.count];
        let mut by_fold = [(0.0, 0.0); FOLDS];
        for (position, (&code, outcome)) in self.codes.iter().zip(outcome).enumerate() {
            for sum in [&mut by_code[code as usize][fold(position)], &mut by_fold[fold(position)]] {
                sum.0 += outcome;
                sum.1 += 1.0;
            }
        }
        let others = |sums: &[(f64, f64); FOLDS], left_out: usize| {
            let others = sums.iter().enumerate().filter(|&(fold, _)| fold != left_out);
            others.fold((0.0, 0.0), |sum, (_, fold)| (sum.0 + fold.0, sum.1 + fold.1))
        };
        let priors: [f64; FOLDS] = std::array::from_fn(|fold| {
            let (sum, rows) = others(&by_fold, fold);
            if rows > 0.0 { sum / rows } else { 0.0 }
        });
        let mean = |(position, &code): (usize, &u32)| {
            let fold = fold(position);
            let (sum, rows) = others(&by_code[code as usize], fold);
            (sum + priors[fold]) / (rows + 1.0)
        };
        self.codes.iter().enumerate().map(mean).collect()
    }
}

/// The fold of a row: a hash of its index (SplitMix64), so that periodic data does not align with the folds.
fn fold(position: usize) -> usize {
    let mut bits = (position as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) % FOLDS as u64) as usize
}
