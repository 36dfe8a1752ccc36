//! Pipeline runs and the events their followers read.

use perennial_core::entity::{EventRecord, PipelineRun};
use perennial_core::id::{PipelineRunId, ProjectId};
use perennial_core::state::{PipelineRunEvent, PipelineRunState};

use crate::Json;
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Readable, Record, Row};

impl Record for PipelineRun {
    const TABLE: &'static str = "pipeline_runs";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            kind: row.get("kind")?,
            state: row.get("state")?,
            cause: row.get("cause")?,
            file_digest: row.get("file_digest")?,
            options: row.get("options")?,
            holder: row.get("holder")?,
            message: row.get("message")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            started_ms: row.get("started_ms")?,
            ended_ms: row.get("ended_ms")?,
        })
    }
}

impl Record for EventRecord {
    const TABLE: &'static str = "events";
    const KEY: &'static [&'static str] = &["sequence"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { sequence: row.get("sequence")?, body: row.get("body")?, wall_ms: row.get("wall_ms")? })
    }
}

/// Inserts a pipeline run.
pub async fn insert(tx: &mut Tx, run: &PipelineRun) -> Result<()> {
    tx.insert(
        sql!("pipeline_runs/insert"),
        bind![
            run.id,
            run.project_id,
            run.kind,
            run.state,
            run.cause,
            run.file_digest,
            run.options,
            run.holder,
            run.message,
            run.wall_ms,
            run.project_ms,
            run.started_ms,
            run.ended_ms
        ],
        "pipeline run",
        run.id,
    )
    .await
}

/// A pipeline run; an error when there is none.
pub async fn get(conn: &mut Conn, id: PipelineRunId) -> Result<PipelineRun> {
    conn.required(sql!("pipeline_runs/get"), bind![id], "pipeline run", id).await
}

/// Pipeline runs of a project, newest first.
pub async fn list(
    conn: &mut Conn,
    project_id: ProjectId,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<PipelineRun>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("pipeline_runs/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &PipelineRun| item.id.to_string()))
}

/// Every pipeline run on the server that has not ended, oldest first.
pub async fn list_open(conn: &mut Conn) -> Result<Readable<PipelineRun>> {
    conn.readable(list_sql!("pipeline_runs/list_open"), bind![]).await
}

/// Takes a pipeline run through an event; gives its new state.
pub async fn apply(
    tx: &mut Tx,
    id: PipelineRunId,
    event: PipelineRunEvent,
    message: Option<&str>,
    at_ms: i64,
) -> Result<PipelineRunState> {
    let state = get(tx, id).await?.state;
    let next = state.transition(event)?;
    let started_ms = (next == PipelineRunState::Running).then_some(at_ms);
    let ended_ms = next.is_terminal().then_some(at_ms);
    tx.compare_and_swap(
        sql!("pipeline_runs/set_state"),
        bind![id, state, next, message, started_ms, ended_ms],
        "pipeline run",
        id,
    )
    .await?;
    Ok(next)
}

/// Adds an event; gives its sequence.
pub async fn add_event(tx: &mut Tx, id: PipelineRunId, body: &Json, at_ms: i64) -> Result<i64> {
    let sequence: Option<i64> = tx.scalar(sql!("pipeline_runs/next_event"), bind![id]).await?;
    let sequence = sequence.unwrap_or(1);
    tx.execute(sql!("pipeline_runs/insert_event"), bind![id, sequence, body, at_ms]).await?;
    Ok(sequence)
}

/// Says which server runs it.
pub async fn set_holder(tx: &mut Tx, id: PipelineRunId, holder: Option<&str>) -> Result<()> {
    tx.update(sql!("pipeline_runs/set_holder"), bind![id, holder], "pipeline run", id).await
}

/// Events after a sequence (0: from the first), oldest first, `limit` at most.
pub async fn list_events(conn: &mut Conn, id: PipelineRunId, after: i64, limit: u32) -> Result<Vec<EventRecord>> {
    conn.all(list_sql!("pipeline_runs/list_events"), bind![id, after, i64::from(limit)]).await
}

/// Events of the given kinds, oldest first, `limit` at most.
pub async fn list_events_of(
    conn: &mut Conn,
    id: PipelineRunId,
    kinds: &[&str],
    limit: u32,
) -> Result<Vec<EventRecord>> {
    let kinds = Json::from(kinds);
    conn.all(list_sql_split!("pipeline_runs/list_events_of"), bind![id, kinds, i64::from(limit)]).await
}
