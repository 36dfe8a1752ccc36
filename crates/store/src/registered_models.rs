//! Registered models, their tags and aliases.

use perennial_core::entity::{ModelAlias, RegisteredModel, Tag};
use perennial_core::id::{ModelId, ProjectId};

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::page::{Page, rows_for};
use crate::row::{Record, Row};

impl Record for RegisteredModel {
    const TABLE: &'static str = "registered_models";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            last_number: row.get("last_number")?,
            created_ms: row.get("created_ms")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

impl Record for ModelAlias {
    const TABLE: &'static str = "model_aliases";
    const KEY: &'static [&'static str] = &["model_id", "alias"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            model_id: row.get("model_id")?,
            alias: row.get("alias")?,
            number: row.get("number")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

/// Inserts a registered model.
pub async fn insert(tx: &mut Tx, model: &RegisteredModel) -> Result<()> {
    tx.insert(
        sql!("registered_models/insert"),
        bind![
            model.id,
            model.project_id,
            model.name,
            model.description,
            model.last_number,
            model.created_ms,
            model.updated_ms
        ],
        "registered model",
        &model.name,
    )
    .await
}

/// A registered model; an error when there is none.
pub async fn get(conn: &mut Conn, id: ModelId) -> Result<RegisteredModel> {
    conn.required(sql!("registered_models/get"), bind![id], "registered model", id).await
}

/// The registered model of a name; an error when there is none.
pub async fn get_by_name(conn: &mut Conn, name: &str) -> Result<RegisteredModel> {
    conn.required(sql!("registered_models/get_by_name"), bind![name], "registered model", name).await
}

/// The registered model of a name.
pub async fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<RegisteredModel>> {
    conn.optional(sql!("registered_models/find_by_name"), bind![name]).await
}

/// Registered models of a project whose names follow `after`, by name.
pub async fn list(
    conn: &mut Conn,
    project_id: ProjectId,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<RegisteredModel>> {
    let (after, rows) = (after.unwrap_or_default(), rows_for(limit));
    let values = bind![project_id, after, rows];
    let items = conn.all(list_sql!("registered_models/list"), values).await?;
    Ok(Page::cut(items, limit, |item: &RegisteredModel| item.name.clone()))
}

/// Gives a model another name; its id, versions and aliases stay.
pub async fn rename(tx: &mut Tx, id: ModelId, name: &str, at_ms: i64) -> Result<()> {
    get(tx, id).await?;
    match tx.execute(sql!("registered_models/rename"), bind![id, name, at_ms]).await? {
        0 => Err(Error::already_exists("registered model", name)),
        _ => Ok(()),
    }
}

/// Sets what people say of a model.
pub async fn describe(tx: &mut Tx, id: ModelId, description: Option<&str>, at_ms: i64) -> Result<()> {
    tx.update(sql!("registered_models/describe"), bind![id, description, at_ms], "registered model", id).await
}

/// Sets a tag of a model.
pub async fn set_tag(tx: &mut Tx, id: ModelId, tag: &Tag) -> Result<()> {
    tx.execute(sql!("registered_models/set_tag"), bind![id, tag.key, tag.value]).await?;
    Ok(())
}

/// Removes a tag of a model; an error when it is not there.
pub async fn delete_tag(tx: &mut Tx, id: ModelId, key: &str) -> Result<()> {
    tx.update(sql!("registered_models/delete_tag"), bind![id, key], "tag", key).await
}

/// The tags of a model, by key.
pub async fn list_tags(conn: &mut Conn, id: ModelId) -> Result<Vec<Tag>> {
    conn.all(list_sql!("registered_models/list_tags"), bind![id]).await
}

/// Moves an alias to a version. The caller has checked that it may be moved: see `endpoints::follows`.
pub async fn set_alias(tx: &mut Tx, alias: &ModelAlias) -> Result<()> {
    tx.execute(sql!("registered_models/set_alias"), bind![alias.model_id, alias.alias, alias.number, alias.updated_ms])
        .await?;
    Ok(())
}

/// Removes an alias; an error when it is not there.
pub async fn delete_alias(tx: &mut Tx, id: ModelId, alias: &str) -> Result<()> {
    tx.update(sql!("registered_models/delete_alias"), bind![id, alias], "alias", alias).await
}

/// Where an alias points.
pub async fn find_alias(conn: &mut Conn, id: ModelId, alias: &str) -> Result<Option<ModelAlias>> {
    conn.optional(sql!("registered_models/find_alias"), bind![id, alias]).await
}

/// The aliases of a model.
pub async fn list_aliases(conn: &mut Conn, id: ModelId) -> Result<Vec<ModelAlias>> {
    conn.all(list_sql!("registered_models/list_aliases"), bind![id]).await
}
