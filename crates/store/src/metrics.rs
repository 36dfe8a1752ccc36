//! Metrics of runs: every point, and the latest of each key.

use std::collections::HashMap;

use perennial_core::entity::MetricPoint;
use perennial_core::id::{ExperimentId, RunId};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::page::{Page, rows_for};
use crate::row::{Record, Row};
use crate::value::Bind;

impl Record for MetricPoint {
    const TABLE: &'static str = "metrics";
    const KEY: &'static [&'static str] = &["key"];

    fn read(row: &Row<'_>) -> Result<Self> {
        let is_nan: bool = row.get("is_nan")?;
        Ok(Self {
            key: row.get("key")?,
            value: if is_nan { f64::NAN } else { row.get("value")? },
            timestamp_ms: row.get("timestamp_ms")?,
            step: row.get("step")?,
        })
    }
}

struct Key {
    id: i64,
    name: String,
}

impl Record for Key {
    const TABLE: &'static str = "metric_keys";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { id: row.get("id")?, name: row.get("name")? })
    }
}

/// Adds points to a run. A point that is there already is not added again.
pub(crate) async fn log(tx: &mut Tx, run_number: i64, experiment: ExperimentId, points: &[MetricPoint]) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let mut latest: HashMap<&str, &MetricPoint> = HashMap::new();
    for point in points {
        let known = latest.entry(point.key.as_str()).or_insert(point);
        if point.is_later_than(known) {
            *known = point;
        }
    }
    let keys = key_ids(tx, latest.keys().copied()).await?;
    let id_of = |point: &MetricPoint| {
        keys.get(point.key.as_str()).copied().ok_or_else(|| Error::not_found("metric key", &point.key))
    };

    let mut rows = Vec::with_capacity(points.len() * 6);
    let ids = points.iter().map(id_of).collect::<Result<Vec<_>>>()?;
    let kept: Vec<(f64, bool)> = points.iter().map(|point| (point.stored_value(), point.value.is_nan())).collect();
    for ((point, id), (value, is_nan)) in points.iter().zip(&ids).zip(&kept) {
        rows.extend([
            run_number.value(),
            id.value(),
            point.timestamp_ms.value(),
            point.step.value(),
            value.value(),
            is_nan.value(),
        ]);
    }
    tx.execute_bulk(sql!("metrics/insert"), &rows).await?;

    let mut newest: Vec<(i64, &MetricPoint)> = Vec::with_capacity(latest.len());
    for point in latest.values() {
        newest.push((id_of(point)?, point));
    }
    // One order for everyone, so that two transactions cannot wait for each other.
    newest.sort_by_key(|(id, _)| *id);
    let kept: Vec<(f64, bool)> = newest.iter().map(|(_, point)| (point.stored_value(), point.value.is_nan())).collect();
    let mut rows = Vec::with_capacity(newest.len() * 7);
    for ((id, point), (value, is_nan)) in newest.iter().zip(&kept) {
        rows.extend([
            run_number.value(),
            id.value(),
            experiment.value(),
            value.value(),
            is_nan.value(),
            point.timestamp_ms.value(),
            point.step.value(),
        ]);
    }
    tx.execute_bulk(sql!("metrics/upsert_latest"), &rows).await?;
    Ok(())
}

/// The numbers of metric names, made where they are missing.
async fn key_ids<'a>(tx: &mut Tx, names: impl Iterator<Item = &'a str>) -> Result<HashMap<String, i64>> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let mut known = find_keys(tx, &names).await?;
    if known.len() < names.len() {
        names.retain(|name| !known.contains_key(*name));
        tx.execute(sql_split!("metrics/insert_keys"), bind![serde_json::json!(names)]).await?;
        known.extend(find_keys(tx, &names).await?);
    }
    Ok(known)
}

async fn find_keys(conn: &mut Conn, names: &[&str]) -> Result<HashMap<String, i64>> {
    let keys: Vec<Key> = conn.all(sql_split!("metrics/find_keys"), bind![serde_json::json!(names)]).await?;
    Ok(keys.into_iter().map(|key| (key.name, key.id)).collect())
}

/// The points of a metric, by timestamp, step and value; `after` is where the page before ended.
pub async fn history(
    conn: &mut Conn,
    run_id: RunId,
    key: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<MetricPoint>> {
    let from = after.map(Cursor::parse).transpose()?.unwrap_or(Cursor::START);
    let rows = rows_for(limit);
    let values = bind![run_id, key, from.timestamp_ms, from.step, from.value, from.is_nan, rows];
    let points = conn.all(sql!("metrics/history"), values).await?;
    Ok(Page::cut(points, limit, |point: &MetricPoint| Cursor::of(point).text()))
}

/// The latest point of each metric of a run, by key.
pub async fn latest(conn: &mut Conn, run_id: RunId) -> Result<Vec<MetricPoint>> {
    conn.all(sql!("metrics/latest"), bind![run_id]).await
}

/// Where a page of history ended.
pub(crate) struct Cursor {
    timestamp_ms: i64,
    step: i64,
    value: f64,
    is_nan: bool,
}

impl Cursor {
    const START: Self = Self { timestamp_ms: i64::MIN, step: i64::MIN, value: f64::NEG_INFINITY, is_nan: false };

    fn of(point: &MetricPoint) -> Self {
        Self {
            timestamp_ms: point.timestamp_ms,
            step: point.step,
            value: point.stored_value(),
            is_nan: point.value.is_nan(),
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{}_{}_{:x}_{}", self.timestamp_ms, self.step, self.value.to_bits(), i32::from(self.is_nan))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refused = || Error::Refused(format!("`{}` is no page token of this list", text.escape_debug()));
        let parts: Vec<&str> = text.split('_').collect();
        let [timestamp_ms, step, value, is_nan] = parts[..] else {
            return Err(refused());
        };
        Ok(Self {
            timestamp_ms: timestamp_ms.parse().map_err(|_| refused())?,
            step: step.parse().map_err(|_| refused())?,
            value: u64::from_str_radix(value, 16)
                .map(f64::from_bits)
                .ok()
                .filter(|value| !value.is_nan())
                .ok_or_else(refused)?,
            is_nan: is_nan == "1",
        })
    }
}
