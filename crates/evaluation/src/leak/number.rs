//! What a number alone tells of the outcome.

use perennial_core::frame::Column;

use super::{MIN_PRESENT, MIN_ROWS};
use crate::rank::Auc;

/// Groups of equal size, ties kept together, whose means explain a number.
const GROUPS: usize = 20;

/// The labelled rows by ascending value of a number column.
pub(super) struct Sorted {
    /// Value, and place among the labelled rows.
    present: Vec<(f64, u32)>,
    missing: Vec<u32>,
}

/// Brings a number column in order; nothing for text, or when all is missing.
pub(super) fn sorted(column: &Column, labelled: &[u32]) -> Option<Sorted> {
    let Column::Number(values) = column else {
        return None;
    };
    let mut sorted = Sorted { present: Vec::with_capacity(labelled.len()), missing: Vec::new() };
    for (place, &row) in labelled.iter().enumerate() {
        let value = values[row as usize];
        if value.is_nan() {
            sorted.missing.push(place as u32);
        } else {
            sorted.present.push((value, place as u32));
        }
    }
    sorted.present.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    (!sorted.present.is_empty()).then_some(sorted)
}

impl Sorted {
    /// The greatest AUC, by either direction, of the column: missing lowest, missing highest, or left out.
    pub(super) fn auc(&self, outcome: &[f64]) -> Option<f64> {
        let is_yes = |place: u32| outcome[place as usize] == 1.0;
        let mut placements = [Some(Auc::default()), Some(Auc::default()), None];
        let yes = self.present.iter().filter(|&&(_, place)| is_yes(place)).count();
        if self.is_enough() && yes >= MIN_ROWS && self.present.len() - yes >= MIN_ROWS {
            placements[2] = Some(Auc::default());
        }
        let push_missing = |auc: &mut Option<Auc>, end: f64| {
            if let Some(auc) = auc {
                for &place in &self.missing {
                    auc.push(end, is_yes(place));
                }
            }
        };
        // Ranks, not values, are pushed: infinities stay ordinary values.
        push_missing(&mut placements[0], -1.0);
        let (mut rank, mut before) = (0.0, None);
        for &(value, place) in &self.present {
            if before != Some(value) {
                rank += 1.0;
                before = Some(value);
            }
            for auc in placements.iter_mut().flatten() {
                auc.push(rank, is_yes(place));
            }
        }
        push_missing(&mut placements[1], f64::INFINITY);
        placements.into_iter().flatten().filter_map(Auc::finish).map(|auc| auc.max(1.0 - auc)).reduce(f64::max)
    }

    /// The greater R² of a straight line and of the means of [`GROUPS`] groups.
    pub(super) fn r2(&self, outcome: &[f64]) -> Option<f64> {
        if !self.is_enough() || self.present.len() < MIN_ROWS {
            return None;
        }
        let rows = self.present.len() as f64;
        let of = |place: u32| outcome[place as usize];
        let mean = self.present.iter().map(|&(_, place)| of(place)).sum::<f64>() / rows;
        let total: f64 = self.present.iter().map(|&(_, place)| (of(place) - mean).powi(2)).sum();
        let is_constant = self.present.iter().all(|&(_, place)| of(place) == of(self.present[0].1));
        if is_constant || total <= 0.0 {
            return None;
        }
        [self.line(outcome, mean, total), self.groups(outcome, total)].into_iter().flatten().reduce(f64::max)
    }

    /// The squared correlation; absent where a value is infinite.
    fn line(&self, outcome: &[f64], mean: f64, total: f64) -> Option<f64> {
        let rows = self.present.len() as f64;
        let mean_value = self.present.iter().map(|&(value, _)| value).sum::<f64>() / rows;
        let (mut both, mut spread) = (0.0, 0.0);
        for &(value, place) in &self.present {
            both += (value - mean_value) * (outcome[place as usize] - mean);
            spread += (value - mean_value).powi(2);
        }
        let r2 = both * both / (spread * total);
        // A constant feature explains nothing, whatever rounding says of its spread.
        let is_constant = self.present.first().map(|first| first.0) == self.present.last().map(|last| last.0);
        (!is_constant && r2.is_finite()).then_some(r2)
    }

    fn groups(&self, outcome: &[f64], total: f64) -> Option<f64> {
        let rows = self.present.len();
        let size = rows.div_ceil(GROUPS).max(2);
        let (mut within, mut groups, mut start) = (0.0, 0, 0);
        while start < rows {
            let mut end = (start + size).min(rows);
            while end < rows && self.present[end].0 == self.present[end - 1].0 {
                end += 1;
            }
            let group = &self.present[start..end];
            let mean = group.iter().map(|&(_, place)| outcome[place as usize]).sum::<f64>() / group.len() as f64;
            within += group.iter().map(|&(_, place)| (outcome[place as usize] - mean).powi(2)).sum::<f64>();
            groups += 1;
            start = end;
        }
        let free = rows.checked_sub(groups).filter(|&free| free > 0 && groups > 1)?;
        Some(1.0 - within / total * (rows - 1) as f64 / free as f64)
    }

    /// Whether enough of the labelled rows have a value to be judged alone.
    fn is_enough(&self) -> bool {
        let all = self.present.len() + self.missing.len();
        self.present.len() as f64 >= MIN_PRESENT * all as f64
    }
}
