//! Loads: arrivals of rows, and the intents of those whose commit is under way.

use std::collections::BTreeMap;

use perennial_core::entity::{DatasetVersion, Load, LoadIntent, LoadOrigin};
use perennial_core::id::{DatasetId, LoadId, ProjectId};
use perennial_core::state::{LoadEvent, LoadState};

use crate::conn::{Conn, Tx};
use crate::dataset_versions;
use crate::error::{Error, Result};
use crate::load_files;
use crate::page::{NEWEST, Page, rows_for};
use crate::project_counts;
use crate::query::{ListQuery, Query};
use crate::row::{Record, Row};
use crate::value::Value;

impl Record for Load {
    const TABLE: &'static str = "loads";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            dataset_id: row.get("dataset_id")?,
            origin: row.get("origin")?,
            origin_id: row.get("origin_id")?,
            files: Vec::new(),
            content_digest: row.get("content_digest")?,
            size_bytes: row.get("size_bytes")?,
            state: row.get("state")?,
            arrived: row.get("arrived")?,
            passing: row.get("passing")?,
            set_aside: row.get("set_aside")?,
            reasons: row.get("reasons")?,
            staged: row.get("staged")?,
            message: row.get("message")?,
            replaces: row.get("replaces")?,
            replaced_by: row.get("replaced_by")?,
            number: row.get("number")?,
            cause: row.get("cause")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            settled_ms: row.get("settled_ms")?,
        })
    }
}

impl Record for LoadIntent {
    const TABLE: &'static str = "load_intents";
    const KEY: &'static [&'static str] = &["dataset_id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            dataset_id: row.get("dataset_id")?,
            load_id: row.get("load_id")?,
            project_id: row.get("project_id")?,
            number: row.get("number")?,
            version: row.get("version")?,
            holder: row.get("holder")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

/// Inserts a load, as it was staged.
pub async fn insert(tx: &mut Tx, load: &Load) -> Result<()> {
    tx.insert(
        sql!("loads/insert"),
        bind![
            load.id,
            load.project_id,
            load.dataset_id,
            load.origin,
            load.origin_id,
            load.content_digest,
            load.size_bytes,
            load.state,
            load.arrived,
            load.passing,
            load.set_aside,
            load.reasons,
            load.staged,
            load.message,
            load.replaces,
            load.replaced_by,
            load.number,
            load.cause,
            load.wall_ms,
            load.project_ms,
            load.settled_ms
        ],
        "load",
        load.id,
    )
    .await?;
    load_files::insert(tx, load).await
}

/// The number of held loads of each project that has some.
pub async fn count_held(conn: &mut Conn) -> Result<BTreeMap<ProjectId, u64>> {
    project_counts::read(conn, list_sql!("loads/count_held")).await
}

/// A load; an error when there is none.
pub async fn get(conn: &mut Conn, id: LoadId) -> Result<Load> {
    let load = get_without_files(conn, id).await?;
    load_files::attach_one(conn, load).await
}

/// A load without its files, of which there may be many.
async fn get_without_files(conn: &mut Conn, id: LoadId) -> Result<Load> {
    conn.required(sql!("loads/get"), bind![id], "load", id).await
}

async fn all(conn: &mut Conn, query: ListQuery, values: &[Value<'_>]) -> Result<Vec<Load>> {
    let loads = conn.all(query, values).await?;
    load_files::attach(conn, loads).await
}

async fn optional(conn: &mut Conn, query: &Query, values: &[Value<'_>]) -> Result<Option<Load>> {
    match conn.optional(query, values).await? {
        Some(load) => Ok(Some(load_files::attach_one(conn, load).await?)),
        None => Ok(None),
    }
}

/// Loads of a dataset, newest first.
pub async fn list(conn: &mut Conn, dataset_id: DatasetId, after: Option<&str>, limit: u32) -> Result<Page<Load>> {
    let (after, rows) = (after.unwrap_or(NEWEST), rows_for(limit));
    let values = bind![dataset_id, after, rows];
    let items = all(conn, list_sql!("loads/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &Load| item.id.to_string()))
}

/// Loads of a dataset that are staged, held or being committed, oldest first.
pub async fn list_open(conn: &mut Conn, dataset_id: DatasetId) -> Result<Vec<Load>> {
    all(conn, list_sql!("loads/list_open"), bind![dataset_id]).await
}

/// The latest load of every dataset of a project, by the dataset's name.
pub async fn list_latest(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<Load>> {
    all(conn, list_sql!("loads/list_latest"), bind![project_id]).await
}

/// Loads of a dataset whose rows set aside count: they are held or committed. Newest first.
pub async fn list_set_aside(conn: &mut Conn, dataset_id: DatasetId, limit: u32) -> Result<Vec<Load>> {
    all(conn, list_sql!("loads/list_set_aside"), bind![dataset_id, i64::from(limit)]).await
}

/// The id of a load.
struct OpenLoad(LoadId);

impl Record for OpenLoad {
    const TABLE: &'static str = "loads";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        row.get("id").map(Self)
    }
}

/// The ids of the loads of the whole server that are staged, held or being committed, oldest first: those whose rows are
/// in the staging area.
pub async fn list_open_ids(conn: &mut Conn) -> Result<Vec<LoadId>> {
    let open: Vec<OpenLoad> = conn.all(list_sql!("loads/list_open_ids"), bind![]).await?;
    Ok(open.into_iter().map(|load| load.0).collect())
}

/// The newest load that a file was part of and that did not fail.
pub async fn find_by_path(conn: &mut Conn, dataset_id: DatasetId, path: &str) -> Result<Option<Load>> {
    optional(conn, sql!("loads/find_by_path"), bind![dataset_id, path]).await
}

/// The committed load that a step run, log segment or request brought.
pub async fn find_committed_by_origin(
    conn: &mut Conn,
    dataset_id: DatasetId,
    origin: LoadOrigin,
    origin_id: &str,
) -> Result<Option<Load>> {
    optional(conn, sql!("loads/find_committed_by_origin"), bind![dataset_id, origin, origin_id]).await
}

/// The load that made a version of a dataset; `None` for one that no load made.
pub async fn find_by_number(conn: &mut Conn, dataset_id: DatasetId, number: i64) -> Result<Option<Load>> {
    optional(conn, sql!("loads/find_by_number"), bind![dataset_id, number]).await
}

/// The load that arrived last on the project clock; the freshness of the source depends on it.
pub async fn find_latest_arrival(conn: &mut Conn, dataset_id: DatasetId) -> Result<Option<Load>> {
    optional(conn, sql!("loads/find_latest_arrival"), bind![dataset_id]).await
}

/// Applies an event other than the commit to a load; returns the new state. The message of the old state is removed,
/// unless a commit begins.
pub async fn apply(tx: &mut Tx, id: LoadId, event: LoadEvent, message: Option<&str>, at_ms: i64) -> Result<LoadState> {
    let Load { state, message: old_message, .. } = get_without_files(tx, id).await?;
    let next = state.transition(event)?;
    let settled_ms = next.is_settled().then_some(at_ms);
    let message = message.or(old_message.as_deref().filter(|_| event == LoadEvent::Begin));
    tx.compare_and_swap(sql!("loads/set_state"), bind![id, state, next, message, settled_ms], "load", id).await?;
    Ok(next)
}

/// Stores the results of a held load whose rows were checked again, from the fields of `load`.
pub async fn update_staging(tx: &mut Tx, load: &Load) -> Result<()> {
    let values = bind![load.id, load.passing, load.set_aside, load.reasons, load.staged];
    tx.compare_and_swap(sql!("loads/update_staging"), values, "load", load.id).await
}

/// Marks a held or committed load as replaced by another.
pub async fn replace(tx: &mut Tx, id: LoadId, by: LoadId, at_ms: i64) -> Result<()> {
    apply(tx, id, LoadEvent::Replace, None, at_ms).await?;
    tx.update(sql!("loads/set_replaced_by"), bind![id, by], "load", id).await
}

/// Begins the commit of a load: `event` is `Begin` or, for a held one, `Release`. The intent takes the
/// number after the dataset's newest version, and is refused while the dataset has another open one.
pub async fn begin(tx: &mut Tx, intent: &LoadIntent, event: LoadEvent, at_ms: i64) -> Result<()> {
    if event != LoadEvent::Begin && event != LoadEvent::Accept {
        return Err(Error::Refused(format!("a commit does not begin with `{event:?}`")));
    }
    let newest = dataset_versions::find_latest(tx, intent.dataset_id).await?.map_or(0, |version| version.number);
    if intent.number != newest + 1 {
        return Err(Error::Conflict { noun: "dataset", name: intent.dataset_id.to_string() });
    }
    apply(tx, intent.load_id, event, None, at_ms).await?;
    let version = serde_json::to_value(&intent.version).map_err(|error| Error::Refused(error.to_string()))?;
    let values = bind![
        intent.dataset_id,
        intent.load_id,
        intent.project_id,
        intent.number,
        version,
        intent.holder,
        intent.created_ms
    ];
    tx.insert(sql!("loads/insert_intent"), values, "open intent of dataset", intent.dataset_id).await
}

/// Ends the commit of a load: its version is inserted as given, the load is committed, the intent closed.
/// `passing` and `set_aside` are what entered in the end (`release --all` lets every row in).
pub async fn commit(
    tx: &mut Tx,
    id: LoadId,
    version: &DatasetVersion,
    passing: u64,
    set_aside: u64,
    at_ms: i64,
) -> Result<()> {
    let state = get_without_files(tx, id).await?.state;
    let next = state.transition(LoadEvent::Commit)?;
    dataset_versions::insert(tx, version).await?;
    let values = bind![id, state, next, version.number, passing, set_aside, at_ms];
    tx.compare_and_swap(sql!("loads/set_committed"), values, "load", id).await?;
    tx.update(sql!("loads/delete_intent"), bind![version.dataset_id, id], "intent of load", id).await
}

/// Gives up the commit of a load that provably did not happen; the load has failed.
pub async fn abandon(tx: &mut Tx, intent: &LoadIntent, message: &str, at_ms: i64) -> Result<()> {
    apply(tx, intent.load_id, LoadEvent::Fail, Some(message), at_ms).await?;
    tx.update(sql!("loads/delete_intent"), bind![intent.dataset_id, intent.load_id], "intent of load", intent.load_id)
        .await
}

/// The open intent of a dataset.
pub async fn find_intent(conn: &mut Conn, dataset_id: DatasetId) -> Result<Option<LoadIntent>> {
    conn.optional(sql!("loads/find_intent"), bind![dataset_id]).await
}
