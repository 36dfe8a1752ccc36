//! Sources: where the rows of a dataset come from.
//!
//! A source has parts: the files of a folder, the table of a query, the partitions of a stream. Each part has a position,
//! which only the source can interpret. The positions that were loaded are stored with the loads, so that a source is
//! polled for what is beyond them:
//!
//! ```text
//! poll(positions) ─▶ batches ─▶ identify (a batch that was loaded before is skipped) ─▶ read ─▶ staging
//! ```
//!
//! A source that receives rows (a push) stores them as batches first, and offers them here like any other.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::data::StageInput;
use crate::error::Result;

/// A position in a part of a source: text of the source's own, stored and compared, never interpreted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position(String);

impl Position {
    /// A position from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The loaded positions of the parts of a source, by part. A part that was never loaded has none.
pub type Positions = BTreeMap<String, Position>;

/// Rows that a source has beyond a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The part: the path of a file, the name of a table or of a partition.
    pub part: String,
    /// The position that the rows follow; `None` for the first rows of the part.
    pub after: Option<Position>,
    /// The position after the rows, which is stored when they are loaded.
    pub position: Position,
    /// The size of the rows in the source, in bytes, if the source knows it.
    pub size_bytes: Option<u64>,
}

/// The state of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// Every part that the source has now, ordered.
    pub parts: Vec<String>,
    /// At most one batch a part, ordered by part.
    pub batches: Vec<Batch>,
}

/// A source of rows.
///
/// Batches may be polled, identified and read any number of times: nothing changes in the source, and whether rows were
/// loaded is decided by the positions alone.
#[async_trait]
pub trait Source: Send + Sync {
    /// The parts, and the rows beyond the given positions. A part at its position has no batch.
    async fn poll(&self, positions: &Positions) -> Result<Poll>;

    /// The identity of the rows of a batch: batches of a part with the same identity have the same rows, and are loaded
    /// once. For a file the digest of its content, which reads it; for a stream the interval of its positions.
    async fn identify(&self, batch: &Batch) -> Result<String>;

    /// The rows of some batches, as one input of the data engine. Rows that have changed since the poll are refused with
    /// [`ErrorCode::FileChanged`](crate::ErrorCode::FileChanged), here or by staging.
    async fn read(&self, batches: &[Batch]) -> Result<StageInput>;
}

#[async_trait]
impl<S: Source + ?Sized> Source for &S {
    async fn poll(&self, positions: &Positions) -> Result<Poll> {
        (**self).poll(positions).await
    }

    async fn identify(&self, batch: &Batch) -> Result<String> {
        (**self).identify(batch).await
    }

    async fn read(&self, batches: &[Batch]) -> Result<StageInput> {
        (**self).read(batches).await
    }
}
