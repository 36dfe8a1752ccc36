//! Grants: roles of principals, on the server, a project, or one object in it.

use perennial_core::entity::{Grant, GrantScope, GrantScopeKind};
use perennial_core::id::{GrantId, PrincipalId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Grant {
    const TABLE: &'static str = "grants";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        let kind: GrantScopeKind = row.get("scope_kind")?;
        let scope = GrantScope::from_columns(kind, row.get("project_id")?, row.get("scope_id")?)
            .ok_or_else(|| row.corrupt("scope_kind", format!("`{kind}` contradicts `project_id` or `scope_id`")))?;
        Ok(Self {
            id: row.get("id")?,
            principal_id: row.get("principal_id")?,
            role: row.get("role")?,
            scope,
            origin: row.get("origin")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Inserts a grant; an error when the principal has the same role in the same scope from the same origin.
pub async fn insert(tx: &mut Tx, grant: &Grant) -> Result<()> {
    tx.insert(
        sql!("grants/insert"),
        bind![
            grant.id,
            grant.principal_id,
            grant.role,
            grant.scope.kind(),
            grant.scope.project_id(),
            grant.scope.object_id(),
            grant.origin,
            grant.created_ms
        ],
        "grant",
        grant.id,
    )
    .await
}

/// Every grant of a principal, oldest first.
pub async fn list(conn: &mut Conn, principal_id: PrincipalId) -> Result<Vec<Grant>> {
    conn.all(list_sql!("grants/list"), bind![principal_id]).await
}

/// Every grant of every principal, oldest first for each.
pub async fn list_all(conn: &mut Conn) -> Result<Vec<Grant>> {
    conn.all(list_sql!("grants/list_all"), bind![]).await
}

/// Deletes a grant.
pub async fn delete(tx: &mut Tx, id: GrantId) -> Result<()> {
    tx.update(sql!("grants/delete"), bind![id], "grant", id).await
}

/// Counts the people and services that administer the server and are not disabled, and keeps every other transaction
/// from removing one until this one ends.
pub async fn count_server_administrators(tx: &mut Tx) -> Result<i64> {
    tx.execute(sql!("grants/lock_server_administrators"), bind![]).await?;
    Ok(tx.scalar(sql!("grants/count_server_administrators"), bind![]).await?.unwrap_or(0))
}
