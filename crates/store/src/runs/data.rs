//! What runs hold: latest metrics, params, tags, inputs.

use crate::conn::Conn;
use crate::error::Result;
use crate::row::{Record, Row};
use perennial_core::entity::{MetricPoint, Param, Run, RunData, RunInput, Tag};

/// A row of one of many runs.
struct Of<T> {
    run_number: i64,
    row: T,
}

impl<T: Record> Record for Of<T> {
    const TABLE: &'static str = T::TABLE;
    const KEY: &'static [&'static str] = &["run_number", "key"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { run_number: row.get("run_number")?, row: T::read(row)? })
    }
}

/// What each of some runs holds, in their order; four queries, however many runs.
pub async fn data(conn: &mut Conn, runs: &[Run]) -> Result<Vec<RunData>> {
    let numbers = serde_json::json!(runs.iter().map(|run| run.number).collect::<Vec<_>>());
    let metrics: Vec<Of<MetricPoint>> = conn.all(list_sql_split!("runs/list_latest_metrics"), bind![numbers]).await?;
    let params: Vec<Of<Param>> = conn.all(list_sql_split!("runs/list_params"), bind![numbers]).await?;
    let tags: Vec<Of<Tag>> = conn.all(list_sql_split!("runs/list_tags"), bind![numbers]).await?;
    let inputs: Vec<Of<RunInput>> = conn.all(list_sql_split!("runs/list_inputs"), bind![numbers]).await?;

    let places: std::collections::HashMap<i64, usize> =
        runs.iter().enumerate().map(|(place, run)| (run.number, place)).collect();
    let mut data = vec![RunData::default(); runs.len()];
    spread(metrics, &places, &mut data, |data| &mut data.metrics);
    spread(params, &places, &mut data, |data| &mut data.params);
    spread(tags, &places, &mut data, |data| &mut data.tags);
    spread(inputs, &places, &mut data, |data| &mut data.inputs);
    Ok(data)
}

fn spread<T>(
    rows: Vec<Of<T>>,
    places: &std::collections::HashMap<i64, usize>,
    data: &mut [RunData],
    list: impl Fn(&mut RunData) -> &mut Vec<T>,
) {
    for of in rows {
        if let Some(place) = places.get(&of.run_number) {
            list(&mut data[*place]).push(of.row);
        }
    }
}
