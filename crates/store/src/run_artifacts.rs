//! Artifacts of runs: paths that name blobs.

use perennial_core::digest::RunElement;
use perennial_core::entity::{Run, RunArtifact};
use perennial_core::id::RunId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};
use crate::runs::{self, Content};

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

/// Inserts an artifact, or replaces the one at its path; returns the run.
pub async fn upsert(tx: &mut Tx, run_id: RunId, artifact: &RunArtifact) -> Result<Run> {
    let mut content = Content::lock(tx, run_id).await?;
    let run = runs::get(tx, run_id).await?;
    if let Some(replaced) = find(tx, run_id, &artifact.path).await? {
        content.remove(RunElement::Artifact(&replaced));
    }
    content.add(RunElement::Artifact(artifact));
    let values = bind![run.number, artifact.path, artifact.blob_digest, artifact.size_bytes, artifact.updated_ms];
    tx.execute(sql!("run_artifacts/upsert"), values).await?;
    content.store(tx).await?;
    Ok(run)
}

/// The file at a path.
pub async fn find(conn: &mut Conn, run_id: RunId, path: &str) -> Result<Option<RunArtifact>> {
    conn.optional(sql!("run_artifacts/find"), bind![run_id, path]).await
}

/// Every file below a folder (`""`: of the whole run), by path.
pub async fn list(conn: &mut Conn, run_id: RunId, folder: &str) -> Result<Vec<RunArtifact>> {
    let (from, to) = below(folder);
    conn.all(list_sql!("run_artifacts/list"), bind![run_id, from, to]).await
}

/// Deletes a file or everything below a folder; returns the number of files.
pub async fn delete(tx: &mut Tx, run_id: RunId, path: &str) -> Result<usize> {
    let mut content = Content::lock(tx, run_id).await?;
    let run = runs::get(tx, run_id).await?;
    let (from, to) = below(path);
    let values = bind![run.number, path, from, to];
    let deleted: Vec<RunArtifact> = tx.execute_returning(sql!("run_artifacts/delete"), values).await?;
    if deleted.is_empty() {
        return Ok(0);
    }
    for artifact in &deleted {
        content.remove(RunElement::Artifact(artifact));
    }
    content.store(tx).await?;
    Ok(deleted.len())
}

/// The range of paths below a folder: `0` is the character after `/`.
fn below(folder: &str) -> (String, String) {
    match folder {
        "" => (String::new(), char::MAX.to_string()),
        folder => (format!("{folder}/"), format!("{folder}0")),
    }
}
