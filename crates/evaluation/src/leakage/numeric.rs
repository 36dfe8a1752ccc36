//! Association of a single number column with the outcome.

use perennial_core::frame::Column;

use super::{MIN_PRESENT, MIN_ROWS};
use crate::rank::Auc;

/// Number of equal-sized bins (tied values stay together) whose means may explain the outcome.
const GROUPS: usize = 20;

/// The labelled rows of a number column in ascending order of value.
pub(super) struct Sorted {
    /// Value, and index among the labelled rows.
    present: Vec<(f64, u32)>,
    missing: Vec<u32>,
}

/// Sorts a number column; `None` for text and when all values are missing.
pub(super) fn sorted(column: &Column, labelled: &[u32]) -> Option<Sorted> {
    let Column::Number(values) = column else {
        return None;
    };
    let mut sorted = Sorted { present: Vec::with_capacity(labelled.len()), missing: Vec::new() };
    for (position, &row) in labelled.iter().enumerate() {
        let value = values[row as usize];
        if value.is_nan() {
            sorted.missing.push(position as u32);
        } else {
            sorted.present.push((value, position as u32));
        }
    }
    sorted.present.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    (!sorted.present.is_empty()).then_some(sorted)
}

impl Sorted {
    /// The greatest AUC in either direction, with missing values ranked lowest, ranked highest, or left out.
    pub(super) fn auc(&self, outcome: &[f64]) -> Option<f64> {
        let is_positive = |position: u32| outcome[position as usize] == 1.0;
        let mut accumulators = [Some(Auc::default()), Some(Auc::default()), None];
        let positives = self.present.iter().filter(|&&(_, position)| is_positive(position)).count();
        if self.has_enough_values() && positives >= MIN_ROWS && self.present.len() - positives >= MIN_ROWS {
            accumulators[2] = Some(Auc::default());
        }
        let push_missing = |auc: &mut Option<Auc>, end: f64| {
            if let Some(auc) = auc {
                for &position in &self.missing {
                    auc.push(end, is_positive(position));
                }
            }
        };
        // Ranks are pushed instead of values, so that infinities rank as ordinary values.
        push_missing(&mut accumulators[0], -1.0);
        let (mut rank, mut before) = (0.0, None);
        for &(value, position) in &self.present {
            if before != Some(value) {
                rank += 1.0;
                before = Some(value);
            }
            for auc in accumulators.iter_mut().flatten() {
                auc.push(rank, is_positive(position));
            }
        }
        push_missing(&mut accumulators[1], f64::INFINITY);
        accumulators.into_iter().flatten().filter_map(Auc::finish).map(|auc| auc.max(1.0 - auc)).reduce(f64::max)
    }

    /// The greater R² of a straight line and of the means of [`GROUPS`] bins.
    pub(super) fn r2(&self, outcome: &[f64]) -> Option<f64> {
        if !self.has_enough_values() || self.present.len() < MIN_ROWS {
            return None;
        }
        let rows = self.present.len() as f64;
        let outcome_at = |position: u32| outcome[position as usize];
        let mean = self.present.iter().map(|&(_, position)| outcome_at(position)).sum::<f64>() / rows;
        let total: f64 = self.present.iter().map(|&(_, position)| (outcome_at(position) - mean).powi(2)).sum();
        let is_constant =
            self.present.iter().all(|&(_, position)| outcome_at(position) == outcome_at(self.present[0].1));
        if is_constant || total <= 0.0 {
            return None;
        }
        [self.linear_r2(outcome, mean, total), self.binned_r2(outcome, total)].into_iter().flatten().reduce(f64::max)
    }

    /// R² of a straight line (the squared correlation); absent where a value is infinite.
    fn linear_r2(&self, outcome: &[f64], mean: f64, total: f64) -> Option<f64> {
        let rows = self.present.len() as f64;
        let mean_value = self.present.iter().map(|&(value, _)| value).sum::<f64>() / rows;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for &(value, position) in &self.present {
            covariance += (value - mean_value) * (outcome[position as usize] - mean);
            variance += (value - mean_value).powi(2);
        }
        let r2 = covariance * covariance / (variance * total);
        // A constant feature explains nothing, even when rounding leaves a small variance.
        let is_constant = self.present.first().map(|first| first.0) == self.present.last().map(|last| last.0);
        (!is_constant && r2.is_finite()).then_some(r2)
    }

    /// R² of the means of [`GROUPS`] bins, adjusted for the number of bins.
    fn binned_r2(&self, outcome: &[f64], total: f64) -> Option<f64> {
        let rows = self.present.len();
        let size = rows.div_ceil(GROUPS).max(2);
        let (mut within, mut groups, mut start) = (0.0, 0, 0);
        while start < rows {
            let mut end = (start + size).min(rows);
            while end < rows && self.present[end].0 == self.present[end - 1].0 {
                end += 1;
            }
            let group = &self.present[start..end];
            let mean = group.iter().map(|&(_, position)| outcome[position as usize]).sum::<f64>() / group.len() as f64;
            within += group.iter().map(|&(_, position)| (outcome[position as usize] - mean).powi(2)).sum::<f64>();
            groups += 1;
            start = end;
        }
        let degrees_of_freedom =
            rows.checked_sub(groups).filter(|&degrees_of_freedom| degrees_of_freedom > 0 && groups > 1)?;
        Some(1.0 - within / total * (rows - 1) as f64 / degrees_of_freedom as f64)
    }

    /// Whether enough labelled rows have a value to test them alone.
    fn has_enough_values(&self) -> bool {
        let all = self.present.len() + self.missing.len();
        self.present.len() as f64 >= MIN_PRESENT * all as f64
    }
}
