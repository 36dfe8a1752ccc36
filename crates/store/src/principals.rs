//! Principals: people, hosts, steps and services that act.

use perennial_core::entity::{Grant, PrincipalRecord};
use perennial_core::id::PrincipalId;
use perennial_core::permission::Principal;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::grants;
use crate::row::{Record, Row};

impl Record for PrincipalRecord {
    const TABLE: &'static str = "principals";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            is_disabled: row.get("is_disabled")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Keeps every other transaction from a principal until this one ends.
pub async fn lock(tx: &mut Tx, id: PrincipalId) -> Result<()> {
    tx.update(sql!("principals/lock"), bind![id], "principal", id).await
}

/// Inserts a principal.
pub async fn insert(tx: &mut Tx, principal: &PrincipalRecord) -> Result<()> {
    tx.insert(
        sql!("principals/insert"),
        bind![principal.id, principal.name, principal.kind, principal.is_disabled, principal.created_ms],
        "principal",
        &principal.name,
    )
    .await
}

/// A principal; an error when there is none.
pub async fn get(conn: &mut Conn, id: PrincipalId) -> Result<PrincipalRecord> {
    conn.required(sql!("principals/get"), bind![id], "principal", id).await
}

/// The principal of a name.
pub async fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<PrincipalRecord>> {
    conn.optional(sql!("principals/find_by_name"), bind![name]).await
}

/// Every principal, by name.
pub async fn list(conn: &mut Conn) -> Result<Vec<PrincipalRecord>> {
    conn.all(list_sql!("principals/list"), bind![]).await
}

/// Disables a principal, or allows them again.
pub async fn set_disabled(tx: &mut Tx, id: PrincipalId, is_disabled: bool) -> Result<()> {
    tx.update(sql!("principals/set_disabled"), bind![id, is_disabled], "principal", id).await
}

/// A principal with its grants on the server and on whole projects, as use cases need it. Grants on single objects
/// are in [`grants::list`]; a disabled principal has none.
pub async fn load(conn: &mut Conn, id: PrincipalId) -> Result<Principal> {
    let record = get(conn, id).await?;
    let held = if record.is_disabled { Vec::new() } else { grants::list(conn, id).await? };
    Ok(Principal {
        id: record.id,
        name: record.name,
        grants: held.iter().filter_map(Grant::whole).collect(),
        run: None,
    })
}
