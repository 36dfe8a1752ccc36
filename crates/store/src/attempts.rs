//! Attempts at work that may end the process of the server.

use perennial_core::entity::{Attempts, DEATHS_MAX, WorkKind};
use perennial_core::id::{AttemptsId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Readable, Record, Row};

impl Record for Attempts {
    const TABLE: &'static str = "attempts";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            kind: row.get("kind")?,
            subject: row.get("subject")?,
            description: row.get("description")?,
            server_id: row.get("server_id")?,
            deaths: row.get("deaths")?,
            wall_ms: row.get("wall_ms")?,
        })
    }
}

/// Inserts the first attempt at a piece of work.
pub async fn insert(tx: &mut Tx, attempts: &Attempts) -> Result<()> {
    let values = bind![
        attempts.id,
        attempts.project_id,
        attempts.kind,
        attempts.subject,
        attempts.description,
        attempts.server_id,
        attempts.deaths,
        attempts.wall_ms
    ];
    tx.insert(sql!("attempts/insert"), values, "held work", attempts.id).await
}

/// The attempts at a piece of work.
pub async fn find(conn: &mut Conn, project_id: ProjectId, kind: WorkKind, subject: &str) -> Result<Option<Attempts>> {
    conn.optional(sql!("attempts/find"), bind![project_id, kind, subject]).await
}

/// The attempts of an id.
pub async fn find_by_id(conn: &mut Conn, id: AttemptsId) -> Result<Option<Attempts>> {
    conn.optional(sql!("attempts/get"), bind![id]).await
}

/// Attempts without an end, oldest first.
pub async fn list_open(conn: &mut Conn) -> Result<Readable<Attempts>> {
    conn.readable(list_sql!("attempts/list_open"), bind![]).await
}

/// What is held in a project, oldest first.
pub async fn list_held(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<Attempts>> {
    conn.all(list_sql!("attempts/list_held"), bind![project_id, DEATHS_MAX]).await
}

/// Stores by whom and how often the work was tried.
pub async fn update(tx: &mut Tx, attempts: &Attempts) -> Result<()> {
    let values = bind![attempts.id, attempts.server_id, attempts.deaths, attempts.wall_ms];
    tx.update(sql!("attempts/update"), values, "held work", attempts.id).await
}

/// Forgets the attempts at a piece of work.
pub async fn delete(tx: &mut Tx, id: AttemptsId) -> Result<()> {
    tx.execute(sql!("attempts/delete"), bind![id]).await.map(drop)
}
