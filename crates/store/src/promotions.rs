//! Promotions: every change of the routes of endpoints.

use perennial_core::entity::Promotion;
use perennial_core::id::{ModelId, ProjectId};
use perennial_core::name::EndpointName;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Record, Row};

impl Record for Promotion {
    const TABLE: &'static str = "promotions";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            endpoint: row.get("endpoint")?,
            model_id: row.get("model_id")?,
            alias: row.get("alias")?,
            from_number: row.get("from_number")?,
            to_number: row.get("to_number")?,
            kind: row.get("kind")?,
            decision_id: row.get("decision_id")?,
            release_digest: row.get("release_digest")?,
            cause: row.get("cause")?,
            actor: row.get("actor")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a promotion.
pub async fn insert(tx: &mut Tx, promotion: &Promotion) -> Result<()> {
    tx.insert(
        sql!("promotions/insert"),
        bind![
            promotion.id,
            promotion.project_id,
            promotion.endpoint,
            promotion.model_id,
            promotion.alias,
            promotion.from_number,
            promotion.to_number,
            promotion.kind,
            promotion.decision_id,
            promotion.release_digest,
            promotion.cause,
            promotion.actor,
            promotion.wall_ms,
            promotion.project_ms
        ],
        "promotion",
        promotion.id,
    )
    .await
}

/// Promotions of a project, newest first.
pub async fn list(conn: &mut Conn, project_id: ProjectId, after: Option<&str>, limit: u32) -> Result<Page<Promotion>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("promotions/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &Promotion| item.id.to_string()))
}

/// The newest `limit` promotions to and from a model version, newest first.
pub async fn list_of_version(conn: &mut Conn, model_id: ModelId, number: i64, limit: u32) -> Result<Vec<Promotion>> {
    conn.all(list_sql!("promotions/list_of_version"), bind![model_id, number, i64::from(limit)]).await
}

/// The first promotion at an endpoint, project clock; `None` when no version was ever promoted.
pub async fn first_ms(conn: &mut Conn, project_id: ProjectId, endpoint: &EndpointName) -> Result<Option<i64>> {
    let first: Option<Option<i64>> = conn.scalar(sql!("promotions/first_ms"), bind![project_id, endpoint]).await?;
    Ok(first.flatten())
}
