//! Tokens, kept as a hash of their secret, and one-time administrator links.

use perennial_core::entity::{Authentication, Token, TokenKind};
use perennial_core::id::{PrincipalId, RunId, TokenId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::principals;
use crate::row::{Readable, Record, Row};

impl Record for Token {
    const TABLE: &'static str = "tokens";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            principal_id: row.get("principal_id")?,
            secret_hash: row.get("secret_hash")?,
            kind: row.get("kind")?,
            name: row.get("name")?,
            project_id: row.get("project_id")?,
            run_id: row.get("run_id")?,
            created_ms: row.get("created_ms")?,
            expires_ms: row.get("expires_ms")?,
            revoked_ms: row.get("revoked_ms")?,
        })
    }
}

/// Inserts a token.
pub async fn insert(tx: &mut Tx, token: &Token) -> Result<()> {
    tx.insert(
        sql!("tokens/insert"),
        bind![
            token.id,
            token.principal_id,
            token.secret_hash,
            token.kind,
            token.name,
            token.project_id,
            token.run_id,
            token.created_ms,
            token.expires_ms,
            token.revoked_ms
        ],
        "token",
        token.id,
    )
    .await
}

/// A token; an error when there is none.
pub async fn get(conn: &mut Conn, id: TokenId) -> Result<Token> {
    conn.required(sql!("tokens/get"), bind![id], "token", id).await
}

/// Every token of a principal.
pub async fn list(conn: &mut Conn, principal_id: PrincipalId) -> Result<Vec<Token>> {
    conn.all(list_sql!("tokens/list"), bind![principal_id]).await
}

/// Tokens of a kind that were not revoked.
pub async fn list_held(conn: &mut Conn, kind: TokenKind) -> Result<Readable<Token>> {
    conn.readable(list_sql!("tokens/list_held"), bind![kind]).await
}

/// Takes a token back; twice is the same as once.
pub async fn revoke(tx: &mut Tx, id: TokenId, at_ms: i64) -> Result<()> {
    tx.update(sql!("tokens/revoke"), bind![id, at_ms], "token", id).await
}

/// Revokes every token of a kind, such as those of earlier hosts; returns those that were valid until now.
pub async fn revoke_all_of_kind(tx: &mut Tx, kind: TokenKind, at_ms: i64) -> Result<Readable<Token>> {
    tx.readable(list_sql!("tokens/revoke_all_of_kind"), bind![kind, at_ms]).await
}

/// Revokes the tokens of a step whose run has ended; returns those that were valid until now.
pub async fn revoke_run(tx: &mut Tx, run_id: RunId, at_ms: i64) -> Result<Vec<Token>> {
    tx.all(list_sql!("tokens/revoke_run"), bind![run_id, at_ms]).await
}

/// Deletes tokens that expired or were revoked before an instant; returns the number.
pub async fn delete_stale(tx: &mut Tx, before_ms: i64) -> Result<u64> {
    tx.execute(sql!("tokens/delete_stale"), bind![before_ms]).await
}

/// Who calls with a secret of this hash; `None` when no valid token has it or its principal is disabled.
/// A token of a project gives what its principal holds there, and nothing elsewhere.
pub async fn authenticate(conn: &mut Conn, secret_hash: &str, wall_ms: i64) -> Result<Option<Authentication>> {
    let found: Option<Token> = conn.optional(sql!("tokens/find_valid"), bind![secret_hash, wall_ms]).await?;
    let Some(token) = found else { return Ok(None) };
    if principals::get(conn, token.principal_id).await?.is_disabled {
        return Ok(None);
    }
    let mut principal = principals::load(conn, token.principal_id).await?;
    principal.run = token.run_id;
    if let Some(project_id) = token.project_id {
        principal.grants = principal.grants.limited_to(project_id);
    }
    Ok(Some(Authentication { principal, token }))
}

/// Keeps a one-time administrator link.
pub async fn insert_admin_link(tx: &mut Tx, secret_hash: &str, created_ms: i64, expires_ms: i64) -> Result<()> {
    tx.execute(sql!("tokens/insert_admin_link"), bind![secret_hash, created_ms, expires_ms]).await?;
    Ok(())
}

/// Marks an administrator link as used; returns whether it was valid.
pub async fn use_admin_link(tx: &mut Tx, secret_hash: &str, wall_ms: i64) -> Result<bool> {
    Ok(tx.execute(sql!("tokens/use_admin_link"), bind![secret_hash, wall_ms]).await? == 1)
}

/// Deletes every administrator link; returns the number.
pub async fn delete_admin_links(tx: &mut Tx) -> Result<u64> {
    tx.execute(sql!("tokens/delete_admin_links"), bind![]).await
}
