//! Firings of triggers: once for each cause.

use perennial_core::entity::TriggerFiring;
use perennial_core::id::ProjectId;
use perennial_core::name::TriggerName;

use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for TriggerFiring {
    const TABLE: &'static str = "trigger_firings";
    const KEY: &'static [&'static str] = &["trigger_name", "cause_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            trigger_name: row.get("trigger_name")?,
            cause_id: row.get("cause_id")?,
            pipeline_run_id: row.get("pipeline_run_id")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
        })
    }
}

/// Inserts a firing; returns whether it is the first for its cause.
pub async fn fire(tx: &mut Tx, firing: &TriggerFiring) -> Result<bool> {
    let values = bind![
        firing.project_id,
        firing.trigger_name,
        firing.cause_id,
        firing.pipeline_run_id,
        firing.wall_ms,
        firing.project_ms
    ];
    Ok(tx.execute(sql!("trigger_firings/fire"), values).await? == 1)
}

/// Whether a trigger has fired for a cause.
pub async fn exists(conn: &mut Conn, project_id: ProjectId, trigger: &TriggerName, cause_id: &str) -> Result<bool> {
    Ok(conn.scalar::<i64>(sql!("trigger_firings/exists"), bind![project_id, trigger, cause_id]).await?.is_some())
}

/// The newest firing of a trigger, by the sequence of the pipeline runs that its firings began.
pub async fn find_latest(
    conn: &mut Conn,
    project_id: ProjectId,
    trigger: &TriggerName,
) -> Result<Option<TriggerFiring>> {
    conn.optional(sql!("trigger_firings/find_latest"), bind![project_id, trigger]).await
}
