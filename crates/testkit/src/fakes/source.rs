//! A source in memory, like a stream of one partition.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use perennial_core::port::data::StageInput;
use perennial_core::port::source::{Batch, Poll, Position, Positions, Source};
use perennial_core::{Error, ErrorCode, Result};

/// The name of the partition.
const PARTITION: &str = "0";

/// A stream whose rows have one column `n`. A position is the number of the rows before it.
#[derive(Default)]
pub struct FakeSource(Mutex<Vec<i64>>);

impl FakeSource {
    /// Appends a row.
    pub fn push(&self, n: i64) {
        self.rows().push(n);
    }

    fn rows(&self) -> MutexGuard<'_, Vec<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn poll(&self, positions: &Positions) -> Result<Poll> {
        let end = self.rows().len();
        let after = positions.get(PARTITION).cloned();
        let batch = (after.as_ref().map_or(Ok(0), offset)? < end).then(|| Batch {
            part: PARTITION.to_owned(),
            after,
            position: Position::new(end.to_string()),
            size_bytes: None,
        });
        let parts = if end == 0 { Vec::new() } else { vec![PARTITION.to_owned()] };
        Ok(Poll { parts, batches: batch.into_iter().collect() })
    }

    async fn identify(&self, batch: &Batch) -> Result<String> {
        let after = batch.after.as_ref().map_or(Ok(0), offset)?;
        Ok(format!("{after}-{}", batch.position.as_str()))
    }

    async fn read(&self, batches: &[Batch]) -> Result<StageInput> {
        let mut lines = String::new();
        for batch in batches {
            let range = batch.after.as_ref().map_or(Ok(0), offset)?..offset(&batch.position)?;
            for n in self.rows().get(range).unwrap_or_default() {
                // Writing to a string cannot fail.
                let _ = writeln!(lines, "{{\"n\": {n}}}");
            }
        }
        Ok(StageInput::JsonLines(lines.into()))
    }
}

fn offset(position: &Position) -> Result<usize> {
    let text = position.as_str();
    text.parse().map_err(|_| Error::new(ErrorCode::Corrupt, format!("`{text}` is not a position of the source")))
}
