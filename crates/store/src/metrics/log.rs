//! Adding points to runs.

use std::collections::{HashMap, HashSet};

use perennial_core::digest::RunElement;
use perennial_core::entity::{MetricPoint, Run};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::row::{Record, Row};
use crate::runs::Content;
use crate::value::{Bind, Value};

/// Up to this many points, the database returns those it inserted. For more, their number is compared first: returning
/// each of them costs more than a savepoint.
const RETURNED_MAX: usize = 32;

/// The number of a metric's name.
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

/// A point to be stored, with the number of its metric's name. A NaN is stored as 0 with a flag.
struct NewPoint<'a> {
    point: &'a MetricPoint,
    key_id: i64,
    value: f64,
    is_nan: bool,
}

impl<'a> NewPoint<'a> {
    fn new(point: &'a MetricPoint, keys: &HashMap<String, i64>) -> Result<Self> {
        let key_id = keys.get(&point.key).copied().ok_or_else(|| Error::not_found("metric key", &point.key))?;
        Ok(Self { point, key_id, value: point.stored_value(), is_nan: point.value.is_nan() })
    }

    /// Equal for points that are one row: the databases keep one zero.
    fn identity(&self) -> (i64, i64, i64, u64, bool) {
        let bits = if self.value == 0.0 { 0 } else { self.value.to_bits() };
        (self.key_id, self.point.timestamp_ms, self.point.step, bits, self.is_nan)
    }

    fn row(&self, run: &Run) -> [Value<'static>; 6] {
        [
            run.number.value().into_owned(),
            self.key_id.value().into_owned(),
            self.point.timestamp_ms.value().into_owned(),
            self.point.step.value().into_owned(),
            self.value.value().into_owned(),
            self.is_nan.value().into_owned(),
        ]
    }
}

/// A point that was inserted.
struct InsertedPoint {
    key_id: i64,
    value: f64,
    timestamp_ms: i64,
    step: i64,
}

impl Record for InsertedPoint {
    const TABLE: &'static str = "metrics";
    const KEY: &'static [&'static str] = &["key_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        let is_nan: bool = row.get("is_nan")?;
        Ok(Self {
            key_id: row.get("key_id")?,
            value: if is_nan { f64::NAN } else { row.get("value")? },
            timestamp_ms: row.get("timestamp_ms")?,
            step: row.get("step")?,
        })
    }
}

/// Adds points to a run and to the sum of its content. A point that is there already is not added again.
pub(crate) async fn log(tx: &mut Tx, run: &Run, points: &[MetricPoint], content: &mut Content) -> Result<()> {
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
    let new = points.iter().map(|point| NewPoint::new(point, &keys)).collect::<Result<Vec<_>>>()?;
    insert(tx, run, &new, &keys, content).await?;
    let latest = latest.values().map(|point| NewPoint::new(point, &keys)).collect::<Result<Vec<_>>>()?;
    upsert_latest(tx, run, latest).await
}

async fn insert(
    tx: &mut Tx,
    run: &Run,
    points: &[NewPoint<'_>],
    keys: &HashMap<String, i64>,
    content: &mut Content,
) -> Result<()> {
    let rows: Vec<Value<'static>> = points.iter().flat_map(|point| point.row(run)).collect();
    if points.len() > RETURNED_MAX {
        let mut identities = HashSet::with_capacity(points.len());
        let distinct: Vec<_> = points.iter().filter(|point| identities.insert(point.identity())).collect();
        tx.control("SAVEPOINT points").await?;
        let inserted = tx.execute_bulk(sql!("metrics/insert"), &rows).await?;
        if inserted == distinct.len() as u64 {
            for new in &distinct {
                content.add(RunElement::from(new.point));
            }
            return tx.control("RELEASE SAVEPOINT points").await;
        }
        // Some points exist already: only the database knows which.
        tx.control("ROLLBACK TO SAVEPOINT points").await?;
        tx.control("RELEASE SAVEPOINT points").await?;
    }
    let inserted: Vec<InsertedPoint> = tx.execute_bulk_returning(sql!("metrics/insert_returning"), &rows).await?;
    let names: HashMap<i64, &str> = keys.iter().map(|(name, id)| (*id, name.as_str())).collect();
    for InsertedPoint { key_id, value, timestamp_ms, step } in inserted {
        let key = names.get(&key_id).copied().ok_or_else(|| Error::not_found("metric key", key_id))?;
        content.add(RunElement::Point { key, value, timestamp_ms, step });
    }
    Ok(())
}

async fn upsert_latest(tx: &mut Tx, run: &Run, mut latest: Vec<NewPoint<'_>>) -> Result<()> {
    // The same order in every transaction, so that two of them cannot wait for each other.
    latest.sort_by_key(|new| new.key_id);
    let mut rows = Vec::with_capacity(latest.len() * 7);
    for new in &latest {
        rows.extend([
            run.number.value(),
            new.key_id.value(),
            run.experiment_id.value(),
            new.value.value(),
            new.is_nan.value(),
            new.point.timestamp_ms.value(),
            new.point.step.value(),
        ]);
    }
    tx.execute_bulk(sql!("metrics/upsert_latest"), &rows).await?;
    Ok(())
}

/// The numbers of metric names, created where they are missing.
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
    let keys: Vec<Key> = conn.all(list_sql_split!("metrics/find_keys"), bind![serde_json::json!(names)]).await?;
    Ok(keys.into_iter().map(|key| (key.name, key.id)).collect())
}
