//! The positions of rows in the source from which they were read.

use std::sync::Arc;

/// The positions of a batch's rows in their source.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The file, or another description of the source.
    label: Arc<str>,
    positions: Positions,
}

#[derive(Debug, Clone)]
enum Positions {
    /// Consecutive rows, by the number of the first one, from 1.
    Rows(u64),
    /// Lines where the rows start; only the first one when they are consecutive.
    Lines(Arc<[u64]>),
}

impl Origin {
    /// Consecutive rows of `label`, starting at number `first` (from 1).
    pub(crate) fn rows(label: &Arc<str>, first: u64) -> Self {
        Self { label: Arc::clone(label), positions: Positions::Rows(first) }
    }

    /// Rows of `label` that start at `lines`.
    pub(crate) fn lines(label: &Arc<str>, lines: Vec<u64>) -> Self {
        let contiguous = lines.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let lines = if contiguous && !lines.is_empty() { Arc::from(&lines[..1]) } else { Arc::from(lines) };
        Self { label: Arc::clone(label), positions: Positions::Lines(lines) }
    }

    /// The description of the source.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The position of a row of the batch, for messages.
    pub(crate) fn at(&self, row: usize) -> String {
        match &self.positions {
            Positions::Rows(first) => format!("{} row {}", self.label, first + row as u64),
            Positions::Lines(lines) => {
                let line = match lines.get(row) {
                    Some(line) => *line,
                    None => lines.first().map_or(0, |first| first + row as u64),
                };
                format!("{} line {line}", self.label)
            }
        }
    }
}
