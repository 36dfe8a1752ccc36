//! Grants: a role of a principal, on the server, a project, or one thing in it.

use perennial_core::entity::Grant;
use perennial_core::id::PrincipalId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Grant {
    const TABLE: &'static str = "grants";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            principal_id: row.get("principal_id")?,
            project_id: row.get("project_id")?,
            role: row.get("role")?,
            scope_kind: row.get("scope_kind")?,
            scope_id: row.get("scope_id")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Inserts a grant.
pub async fn insert(tx: &mut Tx, grant: &Grant) -> Result<()> {
    tx.insert(
        sql!("grants/insert"),
        bind![
            grant.id,
            grant.principal_id,
            grant.project_id,
            grant.role,
            grant.scope_kind,
            grant.scope_id,
            grant.created_ms
        ],
        "grant",
        grant.id,
    )
    .await
}

/// Every grant of a principal.
pub async fn list(conn: &mut Conn, principal_id: PrincipalId) -> Result<Vec<Grant>> {
    conn.all(list_sql!("grants/list"), bind![principal_id]).await
}

/// Takes every grant of a principal away.
pub async fn delete_of_principal(tx: &mut Tx, principal_id: PrincipalId) -> Result<()> {
    tx.execute(sql!("grants/delete_of_principal"), bind![principal_id]).await?;
    Ok(())
}
