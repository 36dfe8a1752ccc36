//! Artifacts of runs: paths that name blobs.

use perennial_core::entity::RunArtifact;
use perennial_core::id::RunId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for RunArtifact {
    const TABLE: &'static str = "run_artifacts";
    const KEY: &'static [&'static str] = &["path"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            path: row.get("path")?,
            blob_digest: row.get("blob_digest")?,
            size_bytes: row.get("size_bytes")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

/// Puts a file at its path, in place of one that was there.
pub async fn upsert(tx: &mut Tx, run_id: RunId, artifact: &RunArtifact) -> Result<()> {
    let values = bind![run_id, artifact.path, artifact.blob_digest, artifact.size_bytes, artifact.updated_ms];
    tx.update(sql!("run_artifacts/upsert"), values, "run", run_id).await
}

/// The file at a path.
pub async fn find(conn: &mut Conn, run_id: RunId, path: &str) -> Result<Option<RunArtifact>> {
    conn.optional(sql!("run_artifacts/find"), bind![run_id, path]).await
}

/// Every file below a folder (`""`: of the whole run), by path.
pub async fn list(conn: &mut Conn, run_id: RunId, folder: &str) -> Result<Vec<RunArtifact>> {
    let (from, to) = below(folder);
    conn.all(sql!("run_artifacts/list"), bind![run_id, from, to]).await
}

/// Removes a file or everything below a folder; tells how many files.
pub async fn delete(tx: &mut Tx, run_id: RunId, path: &str) -> Result<u64> {
    let (from, to) = below(path);
    tx.execute(sql!("run_artifacts/delete"), bind![run_id, path, from, to]).await
}

/// The range of paths below a folder: `0` is the character after `/`.
fn below(folder: &str) -> (String, String) {
    match folder {
        "" => (String::new(), char::MAX.to_string()),
        folder => (format!("{folder}/"), format!("{folder}0")),
    }
}
