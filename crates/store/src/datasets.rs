//! Datasets: versioned data under a name.

use perennial_core::entity::Dataset;
use perennial_core::id::{DatasetId, ProjectId};
use perennial_core::name::DatasetName;
use perennial_core::port::data::Mode;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Dataset {
    const TABLE: &'static str = "datasets";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            mode: row.get("mode")?,
            key_columns: row.get("key_columns")?,
            table_path: row.get("table_path")?,
            last_number: row.get("last_number")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Inserts a dataset.
pub async fn insert(tx: &mut Tx, dataset: &Dataset) -> Result<()> {
    tx.insert(
        sql!("datasets/insert"),
        bind![
            dataset.id,
            dataset.project_id,
            dataset.name,
            dataset.kind,
            dataset.mode,
            dataset.key_columns,
            dataset.table_path,
            dataset.last_number,
            dataset.created_ms
        ],
        "dataset",
        &dataset.name,
    )
    .await
}

/// A dataset; an error when there is none.
pub async fn get(conn: &mut Conn, id: DatasetId) -> Result<Dataset> {
    conn.required(sql!("datasets/get"), bind![id], "dataset", id).await
}

/// The dataset of a name; an error when there is none.
pub async fn get_by_name(conn: &mut Conn, project_id: ProjectId, name: &DatasetName) -> Result<Dataset> {
    conn.required(sql!("datasets/get_by_name"), bind![project_id, name], "dataset", name).await
}

/// The dataset of a name.
pub async fn find_by_name(conn: &mut Conn, project_id: ProjectId, name: &DatasetName) -> Result<Option<Dataset>> {
    conn.optional(sql!("datasets/find_by_name"), bind![project_id, name]).await
}

/// Every dataset of a project, by name.
pub async fn list(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<Dataset>> {
    conn.all(list_sql!("datasets/list"), bind![project_id]).await
}

/// Changes the mode and the key columns of a dataset.
pub async fn declare(tx: &mut Tx, id: DatasetId, mode: Mode, key_columns: &Vec<String>) -> Result<()> {
    tx.update(sql!("datasets/declare"), bind![id, mode, key_columns], "dataset", id).await
}
