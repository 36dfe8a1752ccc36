//! Where each row that arrived stood, for samples that are picked at the end.

use crate::source::Origin;

/// Samples told for a check.
pub(super) const SAMPLES_MAX: usize = 5;

/// The origins of batches, by the number of their first row.
#[derive(Default)]
pub(super) struct Samples {
    spans: Vec<(u64, Origin)>,
}

impl Samples {
    /// Rows `first` to `first + rows` came from `origin`.
    pub(super) fn take(&mut self, first: u64, rows: usize, origin: &Origin) {
        if rows > 0 {
            self.spans.push((first, origin.clone()));
        }
    }

    /// The place of the row that arrived as number `ordinal`, from 0.
    pub(super) fn at(&self, ordinal: u64) -> String {
        let after = self.spans.partition_point(|(first, _)| *first <= ordinal);
        match after.checked_sub(1).and_then(|at| self.spans.get(at)) {
            Some((first, origin)) => origin.at((ordinal - first) as usize),
            None => format!("row {}", ordinal + 1),
        }
    }
}
