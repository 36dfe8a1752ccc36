//! Dataset inputs of runs.

use perennial_core::digest::RunElement;
use perennial_core::entity::{Run, RunInput};
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

/// Logs the datasets that a run read; returns the run. A dataset is identified in its experiment by name and digest;
/// logging it again changes nothing.
pub async fn log_inputs(tx: &mut Tx, run_id: RunId, inputs: &[RunInput]) -> Result<Run> {
    let (run, mut content) = writable(tx, run_id).await?;
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
        if tx.execute(sql!("runs/insert_input"), values).await? == 0 {
            continue;
        }
        // The dataset may have been described before, by another run.
        let values = bind![run.number, input.name, input.digest];
        let added: RunInput = tx.required(sql!("runs/find_input"), values, "run input", &input.name).await?;
        content.add(RunElement::Input(&added));
    }
    content.store(tx).await?;
    Ok(run)
}

/// What a run read, by name and digest.
pub async fn list_inputs(conn: &mut Conn, run_id: RunId) -> Result<Vec<RunInput>> {
    let run = get(conn, run_id).await?;
    conn.all(list_sql_split!("runs/list_inputs"), bind![serde_json::json!([run.number])]).await
}
