//! Servers and their leases.

use perennial_core::entity::Server;
use perennial_core::id::ServerId;

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::row::{Record, Row};

impl Record for Server {
    const TABLE: &'static str = "servers";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            address: row.get("address")?,
            version: row.get("version")?,
            is_serving: row.get("is_serving")?,
            started_ms: row.get("started_ms")?,
            lease_until_ms: row.get("lease_until_ms")?,
        })
    }
}

/// Inserts a server.
pub async fn insert(tx: &mut Tx, server: &Server) -> Result<()> {
    tx.insert(
        sql!("servers/insert"),
        bind![server.id, server.address, server.version, server.is_serving, server.started_ms, server.lease_until_ms],
        "server",
        server.id,
    )
    .await
}

/// Renews the lease of a server; an error when another server has taken over.
pub async fn renew(tx: &mut Tx, id: ServerId, lease_until_ms: i64) -> Result<()> {
    tx.update(sql!("servers/renew"), bind![id, lease_until_ms], "server", id).await
}

/// Fails unless the server has a row, and keeps others from deleting the row until the transaction ends.
pub(crate) async fn require(tx: &mut Tx, id: ServerId) -> Result<()> {
    let found: Option<i64> = tx.scalar(sql_split!("servers/require"), bind![id]).await?;
    found.map(drop).ok_or(Error::NotOwner)
}

/// Deletes the row of a server that ends.
pub async fn delete(tx: &mut Tx, id: ServerId) -> Result<()> {
    tx.execute(sql!("servers/delete"), bind![id]).await?;
    Ok(())
}

/// Deletes the row of another server unless it has renewed its lease since `seen` was read; gives the number of rows.
pub async fn delete_unrenewed(tx: &mut Tx, seen: &Server) -> Result<u64> {
    tx.execute(sql!("servers/delete_unrenewed"), bind![seen.id, seen.lease_until_ms]).await
}

/// Every server, by id. There is one, but for a moment while two start.
pub async fn list(conn: &mut Conn) -> Result<Vec<Server>> {
    conn.all(list_sql!("servers/list"), bind![]).await
}
