//! Search over runs: filter and order in, one page out.

use perennial_core::filter::{Comparison, DatasetText, RunClause, RunKey, RunNumber, RunOrder, RunText, TextTest};
use perennial_core::id::ExperimentId;
use perennial_core::state::Lifecycle;
use serde_json::Value as Json;

use super::Run;
use crate::conn::Conn;
use crate::dynamic::{Dialect, Sql};
use crate::error::{Error, Result};
use crate::page::{PAGE_MAX, Page, rows_for};
use crate::row::{AnyRow, Row};
use crate::value::Value;

/// The most keys an order may have.
const ORDER_MAX: usize = 8;

/// Names of the columns that say where a row stands in the order: a rank and a value for each key.
const RANKS: [&str; ORDER_MAX] = ["rank0", "rank1", "rank2", "rank3", "rank4", "rank5", "rank6", "rank7"];
const KEYS: [&str; ORDER_MAX] = ["key0", "key1", "key2", "key3", "key4", "key5", "key6", "key7"];

/// What is searched for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSearch {
    /// The experiments to search; an empty list finds no runs.
    pub experiment_ids: Vec<ExperimentId>,
    /// Deleted or not; `None` takes both.
    pub lifecycle: Option<Lifecycle>,
    /// What has to hold, all of it.
    pub clauses: Vec<RunClause>,
    /// The order; ties and the default go by start, newest first, then by run id.
    pub order: Vec<RunOrder>,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Runs at most.
    pub limit: u32,
}

/// The runs that match, one page of them.
pub async fn search(conn: &mut Conn, search: &RunSearch) -> Result<Page<Run>> {
    if search.order.len() > ORDER_MAX {
        return Err(Error::Refused(format!("an order has {ORDER_MAX} keys at most")));
    }
    if search.experiment_ids.is_empty() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let sql = select(search, conn.dialect())?;
    let mut rows = conn.rows_of(sql).await?;
    let limit = search.limit.clamp(1, PAGE_MAX) as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let items = rows.iter().map(Row::record::<Run>).collect::<Result<Vec<_>>>()?;
    let next = match (has_more, rows.last(), items.last()) {
        (true, Some(row), Some(run)) => Some(cursor(&search.order, row, run)?),
        _ => None,
    };
    Ok(Page { items, next })
}

/// The statement of a search.
pub(crate) fn select(search: &RunSearch, dialect: Dialect) -> Result<Sql> {
    let mut sql = Sql::new(dialect);
    sql.push(
        "SELECT r.number, r.run_id, r.project_id, r.experiment_id, r.parent_run_id, r.name, r.user_id, r.status, \
         r.lifecycle, r.start_ms, r.end_ms, r.artifact_uri, r.deleted_ms, r.sealed_ms",
    );
    for (place, order) in search.order.iter().enumerate() {
        let (rank, key) = (rank_of(&order.key, place), key_of(&order.key, place));
        sql.push(&format!(", {rank} AS {}, {key} AS {}", RANKS[place], KEYS[place]));
    }
    sql.push(" FROM runs AS r");
    for (place, order) in search.order.iter().enumerate() {
        join(&mut sql, &order.key, place);
    }
    sql.push(" WHERE r.experiment_id");
    let experiments: Vec<i64> = search.experiment_ids.iter().map(|id| id.number()).collect();
    sql.number_list(&experiments);
    if let Some(lifecycle) = search.lifecycle {
        sql.push(" AND r.lifecycle = ");
        sql.bind(lifecycle);
    }
    for clause in &search.clauses {
        sql.push(" AND ");
        filter(&mut sql, clause);
    }
    if let Some(after) = &search.after {
        sql.push(" AND ");
        continue_after(&mut sql, &search.order, after)?;
    }
    sql.push(" ORDER BY ");
    for (place, order) in search.order.iter().enumerate() {
        let direction = if order.is_descending { "DESC" } else { "ASC" };
        sql.push(&format!("{}, {} {direction}, ", RANKS[place], KEYS[place]));
    }
    sql.push("r.start_ms DESC, r.run_id LIMIT ");
    sql.bind(rows_for(search.limit));
    Ok(sql)
}

fn text_column(text: RunText) -> &'static str {
    match text {
        RunText::RunId => "r.run_id",
        RunText::Name => "r.name",
        RunText::Status => "r.status",
        RunText::ArtifactUri => "r.artifact_uri",
        RunText::UserId => "r.user_id",
    }
}

fn number_column(number: RunNumber) -> &'static str {
    match number {
        RunNumber::Start => "r.start_ms",
        RunNumber::End => "r.end_ms",
    }
}

/// Brings the row a key is read from to the run's row.
fn join(sql: &mut Sql, key: &RunKey, place: usize) {
    match key {
        RunKey::Metric(name) => {
            sql.push(&format!(
                " LEFT JOIN latest_metrics AS o{place} ON o{place}.run_number = r.number AND o{place}.key_id = "
            ));
            sql.push("(SELECT id FROM metric_keys WHERE name = ");
            sql.bind(name.clone());
            sql.push(")");
        }
        RunKey::Param(name) | RunKey::Tag(name) => {
            let table = if matches!(key, RunKey::Param(_)) { "params" } else { "tags" };
            sql.push(&format!(" LEFT JOIN {table} AS o{place} ON o{place}.run_number = r.number AND o{place}.key = "));
            sql.bind(name.clone());
        }
        RunKey::Text(_) | RunKey::Number(_) => {}
    }
}

/// 0 for values, then NaN, then what is missing, whatever the direction.
fn rank_of(key: &RunKey, place: usize) -> String {
    match key {
        RunKey::Metric(_) => {
            format!("CASE WHEN o{place}.run_number IS NULL THEN 2 WHEN o{place}.is_nan THEN 1 ELSE 0 END")
        }
        RunKey::Param(_) | RunKey::Tag(_) => {
            format!("CASE WHEN o{place}.run_number IS NULL THEN 2 ELSE 0 END")
        }
        RunKey::Text(text) => format!("CASE WHEN {} IS NULL THEN 2 ELSE 0 END", text_column(*text)),
        RunKey::Number(number) => format!("CASE WHEN {} IS NULL THEN 2 ELSE 0 END", number_column(*number)),
    }
}

fn key_of(key: &RunKey, place: usize) -> String {
    match key {
        RunKey::Metric(_) => format!("COALESCE(o{place}.value, 0.0)"),
        RunKey::Param(_) | RunKey::Tag(_) => format!("COALESCE(o{place}.value, '')"),
        RunKey::Text(text) => format!("COALESCE({}, '')", text_column(*text)),
        RunKey::Number(number) => format!("COALESCE({}, 0)", number_column(*number)),
    }
}

fn filter(sql: &mut Sql, clause: &RunClause) {
    match clause {
        RunClause::Metric(name, comparison, value) => {
            sql.push("EXISTS (SELECT 1 FROM latest_metrics AS m WHERE m.run_number = r.number AND m.key_id = ");
            sql.push("(SELECT id FROM metric_keys WHERE name = ");
            sql.bind(name.clone());
            sql.push(match comparison {
                Comparison::NotEqual => ") AND (m.is_nan OR m.value",
                _ => ") AND (NOT m.is_nan AND m.value",
            });
            compare(sql, *comparison, *value);
            sql.push("))");
        }
        RunClause::Param(name, test) => keyed(sql, "params", name, test),
        RunClause::Tag(name, test) => keyed(sql, "tags", name, test),
        RunClause::Text(text, test) => sql.text_test(text_column(*text), test),
        RunClause::Number(number, comparison, value) => {
            sql.push(number_column(*number));
            compare(sql, *comparison, *value);
        }
        RunClause::Dataset(text, test) => {
            sql.push("EXISTS (SELECT 1 FROM run_inputs AS i WHERE i.run_number = r.number AND ");
            let column = match (text, sql.dialect()) {
                (DatasetText::Name, _) => "i.name",
                (DatasetText::Digest, _) => "i.digest",
                (DatasetText::Context, Dialect::Sqlite) => "json_extract(i.tags, '$.\"mlflow.data.context\"')",
                (DatasetText::Context, Dialect::Postgres) => "(CAST(i.tags AS jsonb) ->> 'mlflow.data.context')",
            };
            sql.text_test(column, test);
            sql.push(")");
        }
    }
}

fn keyed(sql: &mut Sql, table: &str, name: &str, test: &TextTest) {
    let (exists, test) = match test {
        TextTest::Missing => ("NOT EXISTS", &TextTest::Present),
        test => ("EXISTS", test),
    };
    sql.push(&format!("{exists} (SELECT 1 FROM {table} AS t WHERE t.run_number = r.number AND t.key = "));
    sql.bind(name.to_owned());
    sql.push(" AND ");
    sql.text_test("t.value", test);
    sql.push(")");
}

fn compare(sql: &mut Sql, comparison: Comparison, value: f64) {
    sql.push(match comparison {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
    });
    sql.bind(value);
}

/// Where a row stands in the order, as text.
fn cursor(order: &[RunOrder], row: &AnyRow, run: &Run) -> Result<String> {
    let mut place: Vec<Json> = Vec::with_capacity(order.len() * 2 + 2);
    for (index, order) in order.iter().enumerate() {
        let rank = row.raw::<i64, _>(RANKS[index]).or_else(|_| row.raw::<i32, _>(RANKS[index]).map(i64::from))?;
        place.push(rank.into());
        place.push(match order.key {
            RunKey::Metric(_) => row.raw::<f64, _>(KEYS[index])?.to_bits().into(),
            RunKey::Number(_) => row.raw::<i64, _>(KEYS[index])?.into(),
            RunKey::Param(_) | RunKey::Tag(_) | RunKey::Text(_) => row.raw::<String, _>(KEYS[index])?.into(),
        });
    }
    place.push(run.start_ms.into());
    place.push(run.run_id.to_string().into());
    Ok(Json::Array(place).to_string())
}

/// What holds of the rows after a place in the order.
fn continue_after(sql: &mut Sql, order: &[RunOrder], after: &str) -> Result<()> {
    let refused = || Error::Refused(format!("`{}` is not a page token of this search", after.escape_debug()));
    let place: Vec<Json> = serde_json::from_str(after).map_err(|_| refused())?;
    if place.len() != order.len() * 2 + 2 {
        return Err(refused());
    }
    // Column, whether greater ones come later, value.
    let mut steps: Vec<(String, bool, Value<'static>)> = Vec::with_capacity(place.len());
    for (index, (order, pair)) in order.iter().zip(place.chunks(2)).enumerate() {
        let rank = pair[0].as_i64().ok_or_else(refused)?;
        steps.push((rank_of(&order.key, index), true, Value::Int(Some(rank))));
        let value = match order.key {
            RunKey::Metric(_) => Value::Real(Some(
                pair[1].as_u64().map(f64::from_bits).filter(|value| !value.is_nan()).ok_or_else(refused)?,
            )),
            RunKey::Number(_) => Value::Int(Some(pair[1].as_i64().ok_or_else(refused)?)),
            RunKey::Param(_) | RunKey::Tag(_) | RunKey::Text(_) => {
                Value::Text(Some(pair[1].as_str().ok_or_else(refused)?.to_owned().into()))
            }
        };
        steps.push((key_of(&order.key, index), !order.is_descending, value));
    }
    let [.., start, id] = &place[..] else {
        return Err(refused());
    };
    steps.push(("r.start_ms".to_owned(), false, Value::Int(Some(start.as_i64().ok_or_else(refused)?))));
    steps.push(("r.run_id".to_owned(), true, Value::Text(Some(id.as_str().ok_or_else(refused)?.to_owned().into()))));
    let depth = steps.len();
    for (index, (column, is_ascending, value)) in steps.into_iter().enumerate() {
        let sign = if is_ascending { ">" } else { "<" };
        sql.push(&format!("({column} {sign} "));
        sql.bind_value(value.clone());
        if index + 1 < depth {
            sql.push(&format!(" OR ({column} = "));
            sql.bind_value(value);
            sql.push(" AND ");
        }
    }
    sql.push(&"))".repeat(depth - 1));
    sql.push(")");
    Ok(())
}
