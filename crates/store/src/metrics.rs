//! Metrics of runs: every point, and the latest of each key.

mod log;

use perennial_core::entity::MetricPoint;
use perennial_core::id::RunId;

use crate::conn::Conn;
use crate::error::{Error, Result};
use crate::page::{Page, rows_for};
use crate::row::{Record, Row};

pub(crate) use log::log;

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
    let points = conn.all(list_sql!("metrics/history"), values).await?;
    Ok(Page::cut(points, limit, |point: &MetricPoint| Cursor::of(point).text()))
}

/// The latest point of each metric of a run, by key.
pub async fn latest(conn: &mut Conn, run_id: RunId) -> Result<Vec<MetricPoint>> {
    conn.all(list_sql!("metrics/latest"), bind![run_id]).await
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
        let refused = || Error::Refused(format!("`{}` is not a page token of this list", text.escape_debug()));
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
