//! Servers and their leases.

use perennial_core::entity::Server;
use perennial_core::id::ServerId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
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

/// Renews the lease of a server; an error when others have given it up.
pub async fn renew(tx: &mut Tx, id: ServerId, lease_until_ms: i64) -> Result<()> {
    tx.update(sql!("servers/renew"), bind![id, lease_until_ms], "server", id).await
}

/// Forgets a server that ends.
pub async fn delete(tx: &mut Tx, id: ServerId) -> Result<()> {
    tx.execute(sql!("servers/delete"), bind![id]).await?;
    Ok(())
}

/// Deletes servers whose lease has expired; returns the number.
pub async fn delete_expired(tx: &mut Tx, wall_ms: i64) -> Result<u64> {
    tx.execute(sql!("servers/delete_expired"), bind![wall_ms]).await
}

/// Servers with a live lease.
pub async fn list_live(conn: &mut Conn, wall_ms: i64) -> Result<Vec<Server>> {
    conn.all(list_sql!("servers/list_live"), bind![wall_ms]).await
}
