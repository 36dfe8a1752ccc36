//! Experiments and their tags, as MLflow knows them.

use perennial_core::entity::{Experiment, NewExperiment, Tag};
use perennial_core::id::{ExperimentId, ProjectId};
use perennial_core::state::Lifecycle;

use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::row::{Record, Row};

impl Record for Experiment {
    const TABLE: &'static str = "experiments";
    const KEY: &'static [&'static str] = &["id"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            artifact_location: row.get("artifact_location")?,
            lifecycle: row.get("lifecycle")?,
            created_ms: row.get("created_ms")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

impl Record for Tag {
    const TABLE: &'static str = "tags";
    const KEY: &'static [&'static str] = &["key"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { key: row.get("key")?, value: row.get("value")? })
    }
}

/// Makes an experiment under the next id. Its name is unique in its project.
pub async fn create(tx: &mut Tx, new: &NewExperiment) -> Result<Experiment> {
    let location = new.artifact_location.as_deref().unwrap_or("");
    let values = bind![new.project_id, new.name, location, new.created_ms];
    tx.insert(sql!("experiments/insert"), values, "experiment", &new.name).await?;
    let made =
        find_by_name(tx, new.project_id, &new.name).await?.ok_or_else(|| Error::not_found("experiment", &new.name))?;
    if new.artifact_location.is_none() {
        let location = format!("{}/{}", new.artifact_root, made.id);
        tx.update(sql!("experiments/set_location"), bind![made.id, location], "experiment", made.id).await?;
    }
    for tag in &new.tags {
        set_tag(tx, made.id, tag).await?;
    }
    get(tx, made.id).await
}

/// An experiment, deleted ones too; an error when there is none.
pub async fn get(conn: &mut Conn, id: ExperimentId) -> Result<Experiment> {
    conn.required(sql!("experiments/get"), bind![id], "experiment", id).await
}

/// The experiment of a name in a project, deleted ones too.
pub async fn find_by_name(conn: &mut Conn, project_id: ProjectId, name: &str) -> Result<Option<Experiment>> {
    conn.optional(sql!("experiments/find_by_name"), bind![project_id, name]).await
}

/// The experiments of a name in all projects, deleted ones too.
pub async fn list_by_name(conn: &mut Conn, name: &str) -> Result<Vec<Experiment>> {
    conn.all(list_sql!("experiments/list_by_name"), bind![name]).await
}

/// Every experiment, newest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<Experiment>> {
    conn.all(list_sql!("experiments/list"), bind![]).await
}

/// Gives an experiment another name.
pub async fn rename(tx: &mut Tx, id: ExperimentId, name: &str, at_ms: i64) -> Result<()> {
    get(tx, id).await?;
    match tx.execute(sql!("experiments/rename"), bind![id, name, at_ms]).await? {
        0 => Err(Error::already_exists("experiment", name)),
        _ => Ok(()),
    }
}

/// Deletes an experiment with its runs, or restores it with all of them.
pub async fn set_lifecycle(tx: &mut Tx, id: ExperimentId, lifecycle: Lifecycle, at_ms: i64) -> Result<()> {
    tx.update(sql!("experiments/set_lifecycle"), bind![id, lifecycle, at_ms], "experiment", id).await?;
    let deleted_ms = (lifecycle == Lifecycle::Deleted).then_some(at_ms);
    tx.execute(sql!("experiments/set_runs_lifecycle"), bind![id, lifecycle, deleted_ms]).await?;
    Ok(())
}

/// Sets a tag of an experiment.
pub async fn set_tag(tx: &mut Tx, id: ExperimentId, tag: &Tag) -> Result<()> {
    tx.execute(sql!("experiments/set_tag"), bind![id, tag.key, tag.value]).await?;
    Ok(())
}

/// Removes a tag of an experiment; an error when it is not there.
pub async fn delete_tag(tx: &mut Tx, id: ExperimentId, key: &str) -> Result<()> {
    tx.update(sql!("experiments/delete_tag"), bind![id, key], "tag", key).await
}

/// The tags of an experiment, by key.
pub async fn list_tags(conn: &mut Conn, id: ExperimentId) -> Result<Vec<Tag>> {
    conn.all(list_sql!("experiments/list_tags"), bind![id]).await
}
