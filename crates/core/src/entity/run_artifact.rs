//! Artifacts of runs: paths that name blobs.

/// A file of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunArtifact {
    /// Its path relative to the run's root, with `/`.
    pub path: String,
    /// BLAKE3 of its content, hex.
    pub blob_digest: String,
    /// Its size.
    pub size_bytes: u64,
    /// Wall clock, epoch milliseconds.
    pub updated_ms: i64,
}
