//! The positions of rows in their sources, for samples that are chosen after the last row.

use crate::origin::Origin;

/// The origins of batches, by the ordinal of their first row.
#[derive(Default)]
pub(super) struct RowOrigins {
    spans: Vec<(u64, Origin)>,
}

impl RowOrigins {
    /// Adds a batch: rows `first` to `first + rows` came from `origin`.
    pub(super) fn add(&mut self, first: u64, rows: usize, origin: &Origin) {
        if rows > 0 {
            self.spans.push((first, origin.clone()));
        }
    }

    /// The position of the row with this ordinal, from 0, as text.
    pub(super) fn at(&self, ordinal: u64) -> String {
        let after = self.spans.partition_point(|(first, _)| *first <= ordinal);
        match after.checked_sub(1).and_then(|at| self.spans.get(at)) {
            Some((first, origin)) => origin.at((ordinal - first) as usize),
            None => format!("row {}", ordinal + 1),
        }
    }
}
