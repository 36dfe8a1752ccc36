//! The most frequent values of columns with few distinct values.

use std::collections::HashMap;

/// The most distinct values counted; a column with more has no most frequent values.
const DISTINCT_MAX: usize = 1000;
/// The number of values reported.
const TOP: usize = 10;

/// The number of occurrences of each value, until there are too many values.
#[derive(Debug, Clone)]
pub(super) struct Top {
    counts: Option<HashMap<String, u64>>,
}

impl Top {
    pub(super) fn new() -> Self {
        Self { counts: Some(HashMap::new()) }
    }

    pub(super) fn observe(&mut self, value: &str) {
        self.count(value, 1);
    }

    fn count(&mut self, value: &str, times: u64) {
        let Some(counts) = &mut self.counts else { return };
        if let Some(count) = counts.get_mut(value) {
            *count += times;
        } else if counts.len() < DISTINCT_MAX {
            counts.insert(value.to_owned(), times);
        } else {
            self.counts = None;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match &other.counts {
            None => self.counts = None,
            Some(counts) => counts.iter().for_each(|(value, times)| self.count(value, *times)),
        }
    }

    /// The most frequent values first, ties in order of the values.
    pub(super) fn finish(self) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = self.counts.unwrap_or_default().into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(TOP);
        counts
    }
}
