//! Versions of datasets, and what keeps them from being vacuumed.

use perennial_core::entity::{DatasetVersion, PinHolder};
use perennial_core::id::{DatasetId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{Page, rows_for};
use crate::row::{Record, Row};

impl Record for DatasetVersion {
    const TABLE: &'static str = "dataset_versions";
    const KEY: &'static [&'static str] = &["dataset_id", "number"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            dataset_id: row.get("dataset_id")?,
            number: row.get("number")?,
            project_id: row.get("project_id")?,
            delta_version: row.get("delta_version")?,
            manifest: row.get("manifest")?,
            row_count: row.get("row_count")?,
            size_bytes: row.get("size_bytes")?,
            schema: row.get("schema")?,
            digest: row.get("digest")?,
            row_sum: row.get("row_sum")?,
            origin_kind: row.get("origin_kind")?,
            origin_id: row.get("origin_id")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a version; its number is the one after the dataset's newest, else an error.
pub async fn insert(tx: &mut Tx, version: &DatasetVersion) -> Result<()> {
    let name = format!("{}/{}", version.dataset_id, version.number);
    let values = bind![version.dataset_id, version.number];
    tx.compare_and_swap(sql!("dataset_versions/take_number"), values, "dataset", version.dataset_id).await?;
    tx.insert(
        sql!("dataset_versions/insert"),
        bind![
            version.dataset_id,
            version.number,
            version.project_id,
            version.delta_version,
            version.manifest,
            version.row_count,
            version.size_bytes,
            version.schema,
            version.digest,
            version.row_sum,
            version.origin_kind,
            version.origin_id,
            version.wall_ms,
            version.project_ms
        ],
        "dataset version",
        name,
    )
    .await
}

/// A version; an error when there is none.
pub async fn get(conn: &mut Conn, dataset_id: DatasetId, number: i64) -> Result<DatasetVersion> {
    conn.required(
        sql!("dataset_versions/get"),
        bind![dataset_id, number],
        "dataset version",
        format!("{dataset_id}/{number}"),
    )
    .await
}

/// The newest version of a dataset.
pub async fn find_latest(conn: &mut Conn, dataset_id: DatasetId) -> Result<Option<DatasetVersion>> {
    conn.optional(sql!("dataset_versions/find_latest"), bind![dataset_id]).await
}

/// The newest version of each dataset of a project, by dataset name.
pub async fn list_latest(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<DatasetVersion>> {
    conn.all(list_sql!("dataset_versions/list_latest"), bind![project_id]).await
}

/// The newest version with this content.
pub async fn find_by_digest(conn: &mut Conn, dataset_id: DatasetId, digest: &str) -> Result<Option<DatasetVersion>> {
    conn.optional(sql!("dataset_versions/find_by_digest"), bind![dataset_id, digest]).await
}

/// Versions of a dataset, newest first; `before` is the number after the page.
pub async fn list(
    conn: &mut Conn,
    dataset_id: DatasetId,
    before: Option<i64>,
    limit: u32,
) -> Result<Page<DatasetVersion>> {
    let (before, rows) = (before.unwrap_or(i64::MAX), rows_for(limit));
    let values = bind![dataset_id, before, rows];
    let items = conn.all(list_sql!("dataset_versions/list"), values).await?;
    Ok(Page::cut(items, limit, |version: &DatasetVersion| version.number.to_string()))
}

/// Keeps a version from being vacuumed, until an instant of the project clock or for good.
pub async fn pin(
    tx: &mut Tx,
    dataset_id: DatasetId,
    number: i64,
    holder: PinHolder,
    holder_id: &str,
    until_project_ms: Option<i64>,
) -> Result<()> {
    tx.execute(sql!("dataset_versions/pin"), bind![dataset_id, number, holder, holder_id, until_project_ms]).await?;
    Ok(())
}

/// The versions of a dataset above the number `after` that are kept at an instant of the project clock, by number.
pub async fn list_pinned(
    conn: &mut Conn,
    dataset_id: DatasetId,
    project_ms: i64,
    after: i64,
    limit: u32,
) -> Result<Page<DatasetVersion>> {
    let rows = rows_for(limit);
    let values = bind![dataset_id, project_ms, after, rows];
    let items = conn.all(list_sql!("dataset_versions/list_pinned"), values).await?;
    Ok(Page::cut(items, limit, |item: &DatasetVersion| item.number.to_string()))
}
