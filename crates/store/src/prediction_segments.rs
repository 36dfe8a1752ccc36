//! Sealed segments of prediction logs, until they are loaded into a dataset.

use perennial_core::entity::PredictionSegment;
use perennial_core::id::LoadId;
use perennial_core::state::{SegmentEvent, SegmentState};

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for PredictionSegment {
    const TABLE: &'static str = "prediction_segments";
    const KEY: &'static [&'static str] = &["log", "number"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            log: row.get("log")?,
            number: row.get("number")?,
            project_id: row.get("project_id")?,
            endpoint: row.get("endpoint")?,
            record_count: row.get("record_count")?,
            digest: row.get("digest")?,
            state: row.get("state")?,
            load_id: row.get("load_id")?,
            dataset_number: row.get("dataset_number")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a sealed segment.
pub async fn insert(tx: &mut Tx, segment: &PredictionSegment) -> Result<()> {
    tx.insert(
        sql!("prediction_segments/insert"),
        bind![
            segment.log,
            segment.number,
            segment.project_id,
            segment.endpoint,
            segment.record_count,
            segment.digest,
            segment.state,
            segment.load_id,
            segment.dataset_number,
            segment.wall_ms,
            segment.project_ms
        ],
        "prediction segment",
        format!("{}/{}", segment.log, segment.number),
    )
    .await
}

/// A segment of a log.
pub async fn find(conn: &mut Conn, log: &str, number: i64) -> Result<Option<PredictionSegment>> {
    conn.optional(sql!("prediction_segments/find"), bind![log, number]).await
}

/// The first `limit` segments of a log that are not in the dataset yet, oldest first.
pub async fn list_sealed(conn: &mut Conn, log: &str, limit: u32) -> Result<Vec<PredictionSegment>> {
    conn.all(list_sql!("prediction_segments/list_sealed"), bind![log, i64::from(limit)]).await
}

/// Takes a segment through an event; with `Load` come its load and the number of the dataset version.
pub async fn apply(
    tx: &mut Tx,
    segment: &PredictionSegment,
    event: SegmentEvent,
    load: Option<(LoadId, i64)>,
) -> Result<SegmentState> {
    let next = segment.state.transition(event)?;
    let (load_id, number) = load.unzip();
    let values = bind![segment.log, segment.number, segment.state, next, load_id, number];
    tx.compare_and_swap(
        sql!("prediction_segments/set_state"),
        values,
        "prediction segment",
        format!("{}/{}", segment.log, segment.number),
    )
    .await?;
    Ok(next)
}
