//! Outcomes of checks, and profiles, by load.

use perennial_core::entity::{CheckResult, Profile};
use perennial_core::id::{DatasetId, LoadId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for CheckResult {
    const TABLE: &'static str = "check_results";
    const KEY: &'static [&'static str] = &["load_id", "name"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            load_id: row.get("load_id")?,
            name: row.get("name")?,
            project_id: row.get("project_id")?,
            dataset_id: row.get("dataset_id")?,
            severity: row.get("severity")?,
            verdict: row.get("verdict")?,
            answer: row.get("answer")?,
            wall_ms: row.get("wall_ms")?,
        })
    }
}

impl Record for Profile {
    const TABLE: &'static str = "profiles";
    const KEY: &'static [&'static str] = &["load_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            load_id: row.get("load_id")?,
            project_id: row.get("project_id")?,
            dataset_id: row.get("dataset_id")?,
            body: row.get("body")?,
        })
    }
}

/// Stores the result of a check; the next check of the same load replaces it.
pub async fn upsert(tx: &mut Tx, result: &CheckResult) -> Result<()> {
    tx.execute(
        sql!("check_results/upsert"),
        bind![
            result.load_id,
            result.name,
            result.project_id,
            result.dataset_id,
            result.severity,
            result.verdict,
            result.answer,
            result.wall_ms
        ],
    )
    .await?;
    Ok(())
}

/// The outcomes of a load, by check.
pub async fn list(conn: &mut Conn, load_id: LoadId) -> Result<Vec<CheckResult>> {
    conn.all(list_sql!("check_results/list"), bind![load_id]).await
}

/// The outcomes of the latest load of every dataset of a project.
pub async fn list_of_latest_loads(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<CheckResult>> {
    conn.all(list_sql!("check_results/list_of_latest_loads"), bind![project_id]).await
}

/// The outcomes of a dataset from a load on, oldest first.
pub async fn list_of_dataset(conn: &mut Conn, dataset_id: DatasetId, since: LoadId) -> Result<Vec<CheckResult>> {
    conn.all(list_sql!("check_results/list_of_dataset"), bind![dataset_id, since]).await
}

/// Keeps a profile; profiling a load again replaces it.
pub async fn upsert_profile(tx: &mut Tx, profile: &Profile) -> Result<()> {
    tx.execute(
        sql!("check_results/upsert_profile"),
        bind![profile.load_id, profile.project_id, profile.dataset_id, profile.body],
    )
    .await?;
    Ok(())
}

/// The profile of a load.
pub async fn find_profile(conn: &mut Conn, load_id: LoadId) -> Result<Option<Profile>> {
    conn.optional(sql!("check_results/find_profile"), bind![load_id]).await
}

/// The profile of the newest committed load of a dataset.
pub async fn find_latest_profile(conn: &mut Conn, dataset_id: DatasetId) -> Result<Option<Profile>> {
    conn.optional(sql!("check_results/find_latest_profile"), bind![dataset_id]).await
}
