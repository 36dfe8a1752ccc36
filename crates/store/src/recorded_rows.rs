//! The rows of decisions, releases, approvals and promotions beside the ledger entries about them.

use perennial_core::clock::Instant;
use perennial_core::entity::{Approval, Decision, Promotion, Release};
use perennial_core::id::ProjectId;
use perennial_core::ledger::{
    APPROVAL, BrokenChain, DECISION, PROMOTION, RELEASE, RecordedRow, RowEntry, VerifyError, compare_row,
};
use serde_json::Value;

use crate::conn::Conn;
use crate::error::Result;
use crate::query::ListQuery;
use crate::row::{Record, Row};

/// Rows read at once.
const STEP: i64 = 500;

/// Compares every such row of a project with the first entry about it, and finds entries whose row is missing. Gives the
/// number of rows. `end` is the sequence where the chain ends.
pub(crate) async fn verify(conn: &mut Conn, project: ProjectId, end: i64) -> Result<Result<i64, BrokenChain>> {
    let mut rows = 0;
    for compared in [
        compare::<Decision>(conn, list_sql!("recorded_rows/decisions"), project, end).await?,
        compare::<Release>(conn, list_sql!("recorded_rows/releases"), project, end).await?,
        compare::<Approval>(conn, list_sql!("recorded_rows/approvals"), project, end).await?,
        compare::<Promotion>(conn, list_sql!("recorded_rows/promotions"), project, end).await?,
    ] {
        match compared {
            Ok(compared) => rows += compared,
            Err(broken) => return Ok(Err(broken)),
        }
    }
    let deleted: Option<Deleted> = conn.optional(sql!("recorded_rows/find_deleted"), bind![project]).await?;
    Ok(match deleted {
        Some(Deleted(broken)) => Err(broken),
        None => Ok(rows),
    })
}

async fn compare<T>(conn: &mut Conn, query: ListQuery, project: ProjectId, end: i64) -> Result<Result<i64, BrokenChain>>
where
    Beside<T>: Record,
{
    let (mut after, mut compared) = (String::new(), 0);
    loop {
        let rows: Vec<Beside<T>> = conn.all(query, bind![project, after, STEP]).await?;
        for Beside { row, .. } in &rows {
            if let Err(broken) = compare_row(row, end) {
                return Ok(Err(broken));
            }
            compared += 1;
        }
        match rows.last() {
            Some(last) if rows.len() as i64 == STEP => after.clone_from(&last.row.key),
            _ => return Ok(Ok(compared)),
        }
    }
}

/// A row of one kind with its entry.
struct Beside<T> {
    row: RecordedRow,
    of: std::marker::PhantomData<T>,
}

impl<T> Beside<T> {
    fn new(
        row: &Row<'_>,
        (noun, key): (&'static str, String),
        payload: Value,
        actor: Option<String>,
        at: Instant,
    ) -> Result<Self> {
        let entry = match row.get::<Option<i64>>("entry_sequence")? {
            None => None,
            Some(sequence) => Some(RowEntry {
                sequence,
                actor: row.get("entry_actor")?,
                at: Instant { wall_ms: row.get("entry_wall_ms")?, project_ms: row.get("entry_project_ms")? },
                payload: row.get("entry_payload")?,
            }),
        };
        Ok(Self { row: RecordedRow { noun, key, payload, actor, at, entry }, of: std::marker::PhantomData })
    }
}

fn at(wall_ms: i64, project_ms: i64) -> Instant {
    Instant { wall_ms, project_ms }
}

impl Record for Beside<Decision> {
    const TABLE: &'static str = Decision::TABLE;
    const KEY: &'static [&'static str] = Decision::KEY;

    fn read(row: &Row<'_>) -> Result<Self> {
        let (decision, body) = (Decision::read(row)?, row.get::<String>("body")?);
        let (key, at) = ((DECISION, decision.id.to_string()), at(decision.wall_ms, decision.project_ms));
        Self::new(row, key, decision.ledger_payload(&body), None, at)
    }
}

impl Record for Beside<Release> {
    const TABLE: &'static str = Release::TABLE;
    const KEY: &'static [&'static str] = Release::KEY;

    fn read(row: &Row<'_>) -> Result<Self> {
        let (release, body) = (Release::read(row)?, row.get::<String>("body")?);
        let at = at(release.wall_ms, release.project_ms);
        Self::new(row, (RELEASE, release.digest.clone()), release.ledger_payload(&body), None, at)
    }
}

impl Record for Beside<Approval> {
    const TABLE: &'static str = Approval::TABLE;
    const KEY: &'static [&'static str] = Approval::KEY;

    fn read(row: &Row<'_>) -> Result<Self> {
        let approval = Approval::read(row)?;
        let (key, at) = ((APPROVAL, approval.id.to_string()), at(approval.wall_ms, approval.project_ms));
        Self::new(row, key, approval.ledger_payload(), None, at)
    }
}

impl Record for Beside<Promotion> {
    const TABLE: &'static str = Promotion::TABLE;
    const KEY: &'static [&'static str] = Promotion::KEY;

    fn read(row: &Row<'_>) -> Result<Self> {
        let promotion = Promotion::read(row)?;
        let (key, at) = ((PROMOTION, promotion.id.to_string()), at(promotion.wall_ms, promotion.project_ms));
        let mut payload = promotion.ledger_payload();
        // As it is stored: a later version may read other fields of it.
        payload["cause"] = serde_json::from_str(&row.get::<String>("cause")?).unwrap_or_default();
        Self::new(row, key, payload, Some(promotion.actor), at)
    }
}

/// An entry whose row is missing.
struct Deleted(BrokenChain);

impl Record for Deleted {
    const TABLE: &'static str = "ledger_entries";
    const KEY: &'static [&'static str] = &["sequence"];

    fn read(row: &Row<'_>) -> Result<Self> {
        let error = VerifyError::MissingRow { noun: row.get("noun")?, key: row.get("subject")? };
        Ok(Self(BrokenChain { sequence: row.get("sequence")?, error }))
    }
}
