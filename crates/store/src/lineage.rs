//! Lineage: what was made from what, forward and backward by one query each.

use perennial_core::id::ProjectId;
use perennial_core::lineage::{Edge, Node};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Edge {
    const TABLE: &'static str = "lineage";
    const KEY: &'static [&'static str] = &["from_id", "to_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            from_kind: row.get("from_kind")?,
            from_id: row.get("from_id")?,
            to_kind: row.get("to_kind")?,
            to_id: row.get("to_id")?,
        })
    }
}

/// The farthest an edge may be from where a walk begins.
pub const DEPTH_MAX: i64 = 1_000;

/// The most edges a walk gives.
pub const EDGES_MAX: i64 = 10_000;

/// Records that `to` was made from `from`; twice is the same as once.
pub async fn add(tx: &mut Tx, project_id: ProjectId, from: &Node, to: &Node, at_ms: i64) -> Result<()> {
    let values = bind![project_id, from.kind, from.id, to.kind, to.id, at_ms];
    tx.execute(sql!("lineage/insert"), values).await?;
    Ok(())
}

/// Everything a thing was made from, nearest first.
pub async fn backward(conn: &mut Conn, project_id: ProjectId, of: &Node) -> Result<Vec<Edge>> {
    conn.all(list_sql!("lineage/backward"), bind![project_id, of.kind, of.id, DEPTH_MAX, EDGES_MAX]).await
}

/// Everything that was made from a thing, nearest first.
pub async fn forward(conn: &mut Conn, project_id: ProjectId, of: &Node) -> Result<Vec<Edge>> {
    conn.all(list_sql!("lineage/forward"), bind![project_id, of.kind, of.id, DEPTH_MAX, EDGES_MAX]).await
}
