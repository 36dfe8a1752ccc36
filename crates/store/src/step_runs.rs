//! Attempts at steps, what they left, and what can be used again.

use perennial_core::entity::{StepOutcome, StepOutput, StepRun};
use perennial_core::id::{PipelineRunId, ProjectId, RunId, StepRunId};
use perennial_core::name::StepName;
use perennial_core::state::{StepRunEvent, StepRunState};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::page::{NEWEST, Page, rows_for};
use crate::row::{Record, Row};

impl Record for StepRun {
    const TABLE: &'static str = "step_runs";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            pipeline_run_id: row.get("pipeline_run_id")?,
            step: row.get("step")?,
            attempt: row.get("attempt")?,
            state: row.get("state")?,
            cache_key: row.get("cache_key")?,
            key_parts: row.get("key_parts")?,
            reused_from: row.get("reused_from")?,
            run_id: row.get("run_id")?,
            runner: row.get("runner")?,
            exit: row.get("exit")?,
            peak_memory_bytes: row.get("peak_memory_bytes")?,
            isolation: row.get("isolation")?,
            message: row.get("message")?,
            log_digest: row.get("log_digest")?,
            started_ms: row.get("started_ms")?,
            ended_ms: row.get("ended_ms")?,
        })
    }
}

impl Record for StepOutput {
    const TABLE: &'static str = "step_outputs";
    const KEY: &'static [&'static str] = &["step_run_id", "name"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            step_run_id: row.get("step_run_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            digest: row.get("digest")?,
            reference: row.get("reference")?,
        })
    }
}

/// Inserts an attempt.
pub async fn insert(tx: &mut Tx, run: &StepRun) -> Result<()> {
    tx.insert(
        sql!("step_runs/insert"),
        bind![
            run.id,
            run.project_id,
            run.pipeline_run_id,
            run.step,
            run.attempt,
            run.state,
            run.cache_key,
            run.key_parts,
            run.reused_from,
            run.run_id,
            run.runner,
            run.exit,
            run.peak_memory_bytes,
            run.isolation,
            run.message,
            run.log_digest,
            run.started_ms,
            run.ended_ms
        ],
        "step run",
        run.id,
    )
    .await
}

/// An attempt; an error when there is none.
pub async fn get(conn: &mut Conn, id: StepRunId) -> Result<StepRun> {
    conn.required(sql!("step_runs/get"), bind![id], "step run", id).await
}

/// The attempts of a pipeline run, in the order they were planned.
pub async fn list(conn: &mut Conn, pipeline_run_id: PipelineRunId) -> Result<Vec<StepRun>> {
    conn.all(list_sql!("step_runs/list"), bind![pipeline_run_id]).await
}

/// Attempts at a step, newest first.
pub async fn list_of_step(
    conn: &mut Conn,
    project_id: ProjectId,
    step: &StepName,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<StepRun>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![project_id, step, after, rows];
    let items = conn.all(list_sql!("step_runs/list_of_step"), values).await?;
    Ok(Page::cut(items, limit, |item: &StepRun| item.id.to_string()))
}

/// The newest attempt of this key that succeeded.
pub async fn find_cached(conn: &mut Conn, project_id: ProjectId, cache_key: &str) -> Result<Option<StepRun>> {
    conn.optional(sql!("step_runs/find_cached"), bind![project_id, cache_key]).await
}

/// The newest attempt at each step that succeeded, by step, in one query.
pub async fn list_newest_good(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<StepRun>> {
    conn.all(list_sql!("step_runs/list_newest_good"), bind![project_id]).await
}

/// Takes an attempt through an event and keeps what is known of its end; gives its new state.
pub async fn apply(
    tx: &mut Tx,
    id: StepRunId,
    event: StepRunEvent,
    outcome: &StepOutcome,
    at_ms: i64,
) -> Result<StepRunState> {
    let state = get(tx, id).await?.state;
    let next = state.transition(event)?;
    let started_ms = (next == StepRunState::Running).then_some(at_ms);
    let ended_ms = next.is_terminal().then_some(at_ms);
    let values = bind![
        id,
        state,
        next,
        started_ms,
        ended_ms,
        outcome.exit,
        outcome.peak_memory_bytes,
        outcome.isolation,
        outcome.message,
        outcome.log_digest
    ];
    tx.compare_and_swap(sql!("step_runs/set_state"), values, "step run", id).await?;
    Ok(next)
}

/// Says which tracked run an attempt has and where it is executed.
pub async fn set_run(tx: &mut Tx, id: StepRunId, run_id: RunId, runner: &str) -> Result<()> {
    tx.update(sql!("step_runs/set_run"), bind![id, run_id, runner], "step run", id).await
}

/// Marks the step runs that were running when the server of a pipeline run stopped as interrupted; returns the number.
pub async fn interrupt_running(tx: &mut Tx, pipeline_run_id: PipelineRunId, at_ms: i64) -> Result<u64> {
    tx.execute(sql!("step_runs/interrupt_running"), bind![pipeline_run_id, at_ms]).await
}

/// Keeps what an attempt left; the same output again replaces it.
pub async fn upsert_output(tx: &mut Tx, output: &StepOutput) -> Result<()> {
    tx.execute(
        sql!("step_runs/upsert_output"),
        bind![output.step_run_id, output.name, output.kind, output.digest, output.reference],
    )
    .await?;
    Ok(())
}

/// What an attempt left, by name; for a cached one, ask for the attempt it was reused from.
pub async fn list_outputs(conn: &mut Conn, step_run_id: StepRunId) -> Result<Vec<StepOutput>> {
    conn.all(list_sql!("step_runs/list_outputs"), bind![step_run_id]).await
}

/// What the newest succeeded attempt at each step left, in one query.
pub async fn list_newest_outputs(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<StepOutput>> {
    conn.all(list_sql!("step_runs/list_newest_outputs"), bind![project_id]).await
}
