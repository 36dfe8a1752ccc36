//! Grants of URL prefixes to projects: where their sources may read.

use perennial_core::entity::SourceGrant;
use perennial_core::id::ProjectId;
use perennial_core::object_url::ObjectUrl;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for SourceGrant {
    const TABLE: &'static str = "source_grants";
    const KEY: &'static [&'static str] = &["project_id", "prefix"];

    fn read(row: &Row<'_>) -> Result<Self> {
        let prefix: String = row.get("prefix")?;
        Ok(Self {
            project_id: row.get("project_id")?,
            prefix: ObjectUrl::parse_prefix(&prefix)
                .map_err(|error| row.corrupt("prefix", error.message().to_owned()))?,
            granted_by: row.get("granted_by")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Inserts a grant. Returns false when the project has it already.
pub async fn insert(tx: &mut Tx, grant: &SourceGrant) -> Result<bool> {
    let prefix = grant.prefix.to_string();
    let values = bind![grant.project_id, prefix, grant.granted_by, grant.created_ms];
    Ok(tx.execute(sql!("source_grants/insert"), values).await? > 0)
}

/// Deletes a grant. Returns false when the project does not have it.
pub async fn delete(tx: &mut Tx, project: ProjectId, prefix: &ObjectUrl) -> Result<bool> {
    let prefix = prefix.to_string();
    Ok(tx.execute(sql!("source_grants/delete"), bind![project, prefix]).await? > 0)
}

/// The grants of a project, by prefix.
pub async fn list(conn: &mut Conn, project: ProjectId) -> Result<Vec<SourceGrant>> {
    conn.all(list_sql!("source_grants/list"), bind![project]).await
}
