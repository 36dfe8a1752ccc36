//! Files of a source as last seen, so that unchanged ones are not read again.

use crate::id::{DatasetId, LoadId};

/// A source file as last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFileRecord {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// The file's path, relative to the source's root.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its last change, epoch nanoseconds, if the object store reports it.
    pub modified_ns: Option<i64>,
    /// The entity tag, if the object store reports one.
    pub etag: Option<String>,
    /// BLAKE3 of its content, hex.
    pub content_digest: String,
    /// The load it became.
    pub load_id: Option<LoadId>,
    /// Wall clock, epoch milliseconds.
    pub seen_ms: i64,
}
