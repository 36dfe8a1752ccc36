//! Dataset inputs of runs.

use perennial_core::entity::RunInput;
use perennial_core::id::RunId;

use super::{get, writable};
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::row::{Record, Row};

impl Record for RunInput {
    const TABLE: &'static str = "run_inputs";
    const KEY: &'static [&'static str] = &["name", "digest"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            name: row.get("name")?,
            digest: row.get("digest")?,
            source_type: row.get("source_type")?,
            source: row.get("source")?,
            schema: row.get("schema")?,
            profile: row.get("profile")?,
            tags: row.get("tags")?,
        })
    }
}

/// Logs what a run read. A dataset is known in its experiment by name and digest; a repeat adds nothing.
pub async fn log_inputs(tx: &mut Tx, run_id: RunId, inputs: &[RunInput]) -> Result<()> {
    let run = writable(tx, run_id).await?;
    for input in inputs {
        let values = bind![
            run.experiment_id,
            input.name,
            input.digest,
            input.source_type,
            input.source,
            input.schema,
            input.profile
        ];
        tx.execute(sql!("runs/insert_dataset_input"), values).await?;
        let values = bind![run.number, input.name, input.digest, run.experiment_id, input.tags];
        tx.execute(sql!("runs/insert_input"), values).await?;
    }
    Ok(())
}

/// What a run read, by name and digest.
pub async fn list_inputs(conn: &mut Conn, run_id: RunId) -> Result<Vec<RunInput>> {
    let run = get(conn, run_id).await?;
    conn.all(sql_split!("runs/list_inputs"), bind![serde_json::json!([run.number])]).await
}
