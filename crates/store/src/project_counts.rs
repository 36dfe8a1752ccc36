//! Counts of rows by project, for lists of projects and metrics.

use std::collections::BTreeMap;

use perennial_core::id::ProjectId;

use crate::conn::Conn;
use crate::error::Result;
use crate::query::ListQuery;
use crate::row::{Record, Row};

/// The number of rows of a project.
struct ProjectCount(ProjectId, u64);

impl Record for ProjectCount {
    const TABLE: &'static str = "projects";
    const KEY: &'static [&'static str] = &["project_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self(row.get("project_id")?, row.get("count")?))
    }
}

/// The rows of a query that groups by `project_id`, with the number of each group as `count`.
pub(crate) async fn read(conn: &mut Conn, query: ListQuery) -> Result<BTreeMap<ProjectId, u64>> {
    let counts: Vec<ProjectCount> = conn.all(query, bind![]).await?;
    Ok(counts.into_iter().map(|ProjectCount(project, count)| (project, count)).collect())
}
