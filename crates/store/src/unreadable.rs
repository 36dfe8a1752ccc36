//! Finding rows that cannot be converted to their entities.

use perennial_core::entity::{
    Alert, Attempts, Dataset, DatasetVersion, Decision, Endpoint, Grant, Job, Load, ModelVersion, PipelineRun,
    PrincipalRecord, Project, ProjectFile, RegisteredModel, Release, StepRun, Token,
};

use crate::conn::Conn;
use crate::dynamic::Sql;
use crate::error::Result;
use crate::row::{Readable, Record, Row, UnreadableRow};

/// Rows that are read at once.
const PAGE: i64 = 1_000;
/// Unreadable rows that are returned at most.
pub const UNREADABLE_MAX: usize = 1_000;

/// The rows that do not convert, of every table that a server reads at its start or in its scheduler, at most
/// [`UNREADABLE_MAX`].
pub async fn list(conn: &mut Conn) -> Result<Vec<UnreadableRow>> {
    let mut found = Vec::new();
    scan::<Project>(conn, &mut found).await?;
    scan::<ProjectFile>(conn, &mut found).await?;
    scan::<PrincipalRecord>(conn, &mut found).await?;
    scan::<Grant>(conn, &mut found).await?;
    scan::<Token>(conn, &mut found).await?;
    scan::<Dataset>(conn, &mut found).await?;
    scan::<DatasetVersion>(conn, &mut found).await?;
    scan::<Load>(conn, &mut found).await?;
    scan::<PipelineRun>(conn, &mut found).await?;
    scan::<StepRun>(conn, &mut found).await?;
    scan::<RegisteredModel>(conn, &mut found).await?;
    scan::<ModelVersion>(conn, &mut found).await?;
    scan::<Release>(conn, &mut found).await?;
    scan::<Decision>(conn, &mut found).await?;
    scan::<Endpoint>(conn, &mut found).await?;
    scan::<Alert>(conn, &mut found).await?;
    scan::<Job>(conn, &mut found).await?;
    scan::<Attempts>(conn, &mut found).await?;
    found.truncate(UNREADABLE_MAX);
    Ok(found)
}

/// Reads every row of a table, page by page.
async fn scan<T: Record>(conn: &mut Conn, found: &mut Vec<UnreadableRow>) -> Result<()> {
    let mut offset = 0_i64;
    while found.len() < UNREADABLE_MAX {
        let mut sql = Sql::new(conn.dialect());
        sql.push(&format!("SELECT * FROM {} ORDER BY {} LIMIT ", T::TABLE, T::KEY.join(", ")));
        sql.bind(PAGE);
        sql.push(" OFFSET ");
        sql.bind(offset);
        let rows = conn.rows_of(sql).await?;
        let count = rows.len() as i64;
        found.extend(Readable::collect(rows.iter().map(Row::record::<T>))?.unreadable);
        if count < PAGE {
            break;
        }
        offset += PAGE;
    }
    Ok(())
}
