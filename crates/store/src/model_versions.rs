//! Versions of registered models.

use perennial_core::entity::{ModelVersion, Tag};
use perennial_core::id::{ModelId, RunId};
use perennial_core::state::{ModelVersionEvent, ModelVersionState};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::page::{Page, rows_for};
use crate::row::{Record, Row};

impl Record for ModelVersion {
    const TABLE: &'static str = "model_versions";
    const KEY: &'static [&'static str] = &["model_id", "number"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            model_id: row.get("model_id")?,
            number: row.get("number")?,
            project_id: row.get("project_id")?,
            source: row.get("source")?,
            run_id: row.get("run_id")?,
            step_run_id: row.get("step_run_id")?,
            content_digest: row.get("content_digest")?,
            signature: row.get("signature")?,
            flavor: row.get("flavor")?,
            manifest: row.get("manifest")?,
            state: row.get("state")?,
            description: row.get("description")?,
            user_id: row.get("user_id")?,
            wall_ms: row.get("wall_ms")?,
            project_ms: row.get("project_ms")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

/// Takes the next number of a model, to be inserted in the same transaction.
pub async fn take_number(tx: &mut Tx, model_id: ModelId, at_ms: i64) -> Result<i64> {
    let number = tx.scalar(sql!("model_versions/take_number"), bind![model_id, at_ms]).await?;
    number.ok_or_else(|| Error::not_found("registered model", model_id))
}

/// Inserts a version under the number [`take_number`] gave.
pub async fn insert(tx: &mut Tx, version: &ModelVersion) -> Result<()> {
    tx.insert(
        sql!("model_versions/insert"),
        bind![
            version.model_id,
            version.number,
            version.project_id,
            version.source,
            version.run_id,
            version.step_run_id,
            version.content_digest,
            version.signature,
            version.flavor,
            version.manifest,
            version.state,
            version.description,
            version.user_id,
            version.wall_ms,
            version.project_ms,
            version.updated_ms
        ],
        "model version",
        format!("{}/{}", version.model_id, version.number),
    )
    .await
}

/// A version; an error when there is none.
pub async fn get(conn: &mut Conn, model_id: ModelId, number: i64) -> Result<ModelVersion> {
    conn.required(sql!("model_versions/get"), bind![model_id, number], "model version", format!("{model_id}/{number}"))
        .await
}

/// Versions of a model below a number (`None`: the newest), newest first.
pub async fn list(conn: &mut Conn, model_id: ModelId, before: Option<i64>, limit: u32) -> Result<Page<ModelVersion>> {
    let (before, rows) = (before.unwrap_or(i64::MAX), rows_for(limit));
    let values = bind![model_id, before, rows];
    let items = conn.all(list_sql!("model_versions/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &ModelVersion| item.number.to_string()))
}

/// The newest version with this content.
pub async fn find_by_content(conn: &mut Conn, model_id: ModelId, content_digest: &str) -> Result<Option<ModelVersion>> {
    conn.optional(sql!("model_versions/find_by_content"), bind![model_id, content_digest]).await
}

/// The versions that a run made.
pub async fn list_by_run(conn: &mut Conn, run_id: RunId) -> Result<Vec<ModelVersion>> {
    conn.all(list_sql!("model_versions/list_by_run"), bind![run_id]).await
}

/// The version an alias names.
pub async fn find_by_alias(conn: &mut Conn, model_id: ModelId, alias: &str) -> Result<Option<ModelVersion>> {
    conn.optional(sql!("model_versions/find_by_alias"), bind![model_id, alias]).await
}

/// Takes a version through an event; gives its new state.
pub async fn apply(
    tx: &mut Tx,
    model_id: ModelId,
    number: i64,
    event: ModelVersionEvent,
    at_ms: i64,
) -> Result<ModelVersionState> {
    let state = get(tx, model_id, number).await?.state;
    let next = state.transition(event)?;
    let values = bind![model_id, number, state, next, at_ms];
    tx.compare_and_swap(sql!("model_versions/set_state"), values, "model version", format!("{model_id}/{number}"))
        .await?;
    Ok(next)
}

/// Sets what people say of a version.
pub async fn describe(
    tx: &mut Tx,
    model_id: ModelId,
    number: i64,
    description: Option<&str>,
    at_ms: i64,
) -> Result<()> {
    tx.update(
        sql!("model_versions/describe"),
        bind![model_id, number, description, at_ms],
        "model version",
        format!("{model_id}/{number}"),
    )
    .await
}

/// Sets a tag of a version.
pub async fn set_tag(tx: &mut Tx, model_id: ModelId, number: i64, tag: &Tag) -> Result<()> {
    tx.execute(sql!("model_versions/set_tag"), bind![model_id, number, tag.key, tag.value]).await?;
    Ok(())
}

/// Removes a tag of a version; an error when it is not there.
pub async fn delete_tag(tx: &mut Tx, model_id: ModelId, number: i64, key: &str) -> Result<()> {
    tx.update(sql!("model_versions/delete_tag"), bind![model_id, number, key], "tag", key).await
}

/// The tags of a version, by key.
pub async fn list_tags(conn: &mut Conn, model_id: ModelId, number: i64) -> Result<Vec<Tag>> {
    conn.all(list_sql!("model_versions/list_tags"), bind![model_id, number]).await
}

/// Deletes a version with its tags and aliases. What a release names cannot be deleted: the database refuses it.
pub async fn delete(tx: &mut Tx, model_id: ModelId, number: i64) -> Result<()> {
    tx.execute(sql!("model_versions/delete_tags"), bind![model_id, number]).await?;
    tx.execute(sql!("model_versions/delete_aliases"), bind![model_id, number]).await?;
    let name = format!("{model_id}/{number}");
    tx.update(sql!("model_versions/delete"), bind![model_id, number], "model version", name).await
}
