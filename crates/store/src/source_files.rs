//! What was last seen of a source's files, so that unchanged ones are not read again.

use perennial_core::entity::SourceFileRecord;
use perennial_core::id::DatasetId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for SourceFileRecord {
    const TABLE: &'static str = "source_files";
    const KEY: &'static [&'static str] = &["dataset_id", "path"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            dataset_id: row.get("dataset_id")?,
            path: row.get("path")?,
            size_bytes: row.get("size_bytes")?,
            modified_ns: row.get("modified_ns")?,
            etag: row.get("etag")?,
            content_digest: row.get("content_digest")?,
            load_id: row.get("load_id")?,
            seen_ms: row.get("seen_ms")?,
        })
    }
}

/// Keeps what was seen of a file, in place of what was known.
pub async fn upsert(tx: &mut Tx, file: &SourceFileRecord) -> Result<()> {
    tx.execute(
        sql!("source_files/upsert"),
        bind![
            file.dataset_id,
            file.path,
            file.size_bytes,
            file.modified_ns,
            file.etag,
            file.content_digest,
            file.load_id,
            file.seen_ms
        ],
    )
    .await?;
    Ok(())
}

/// Every file of a dataset, by path.
pub async fn list(conn: &mut Conn, dataset_id: DatasetId) -> Result<Vec<SourceFileRecord>> {
    conn.all(list_sql!("source_files/list"), bind![dataset_id]).await
}

/// Forgets a file; one that is not known is forgotten as well.
pub async fn delete(tx: &mut Tx, dataset_id: DatasetId, path: &str) -> Result<()> {
    tx.execute(sql!("source_files/delete"), bind![dataset_id, path]).await?;
    Ok(())
}
