//! Sessions of people in a browser.

use perennial_core::entity::Session;
use perennial_core::id::PrincipalId;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for Session {
    const TABLE: &'static str = "sessions";
    const KEY: &'static [&'static str] = &["secret_hash"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            secret_hash: row.get("secret_hash")?,
            principal_id: row.get("principal_id")?,
            csrf_token: row.get("csrf_token")?,
            created_ms: row.get("created_ms")?,
            expires_ms: row.get("expires_ms")?,
        })
    }
}

/// Inserts a session.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<()> {
    tx.insert(
        sql!("sessions/insert"),
        bind![session.secret_hash, session.principal_id, session.csrf_token, session.created_ms, session.expires_ms],
        "session",
        "of this secret",
    )
    .await
}

/// The session of a secret, unless it expired.
pub async fn find(conn: &mut Conn, secret_hash: &str, wall_ms: i64) -> Result<Option<Session>> {
    conn.optional(sql!("sessions/find"), bind![secret_hash, wall_ms]).await
}

/// Ends a session; one that is not there is as well.
pub async fn delete(tx: &mut Tx, secret_hash: &str) -> Result<()> {
    tx.execute(sql!("sessions/delete"), bind![secret_hash]).await?;
    Ok(())
}

/// Ends every session of a principal; returns the number.
pub async fn delete_of_principal(tx: &mut Tx, principal_id: PrincipalId) -> Result<u64> {
    tx.execute(sql!("sessions/delete_of_principal"), bind![principal_id]).await
}

/// Deletes expired sessions; returns the number.
pub async fn delete_expired(tx: &mut Tx, wall_ms: i64) -> Result<u64> {
    tx.execute(sql!("sessions/delete_expired"), bind![wall_ms]).await
}
