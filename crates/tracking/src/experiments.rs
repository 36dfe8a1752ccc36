//! Experiments.

mod search;

use perennial_core::entity::NewExperiment;
pub use perennial_core::entity::{Experiment, Tag};
use perennial_core::id::{ExperimentId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::permission::{Permission, ProjectSet};
use perennial_core::state::Lifecycle;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::experiments as rows;
use perennial_store::projects;

use super::check::{length, location, quoted, refused};
use super::{limits, not_a_step, readable_experiment, writable_experiment};
use perennial_kernel::ledger::{LedgerEvent, Recorder};
use perennial_kernel::{ARTIFACT_ROOT, Caller, wrong_state};

pub use search::{Search, search};

/// The tag of a new experiment that names its project, for callers who may write several.
pub const PROJECT_TAG: &str = "perennial.project";

/// An experiment with its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// The experiment.
    pub experiment: Experiment,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
}

/// Makes an experiment in the project that tag [`PROJECT_TAG`] names, else in the caller's own project.
pub async fn create(
    caller: &Caller,
    name: String,
    artifact_location: Option<String>,
    tags: Vec<Tag>,
) -> Result<Experiment> {
    not_a_step(caller)?;
    validate_name(&name)?;
    if let Some(place) = &artifact_location {
        location(place)?;
    }
    for tag in &tags {
        validate_tag(tag)?;
    }
    let project_id = project_of(caller, &tags).await?;
    caller.principal.require(Permission::Write, Some(project_id))?;
    let new = NewExperiment {
        project_id,
        name,
        artifact_location: artifact_location.filter(|place| !place.is_empty()),
        artifact_root: ARTIFACT_ROOT.to_owned(),
        created_ms: caller.kernel.services.clock.wall_ms(),
        tags,
    };
    caller.kernel.store().write(move |tx| Box::pin(async move { Ok(rows::create(tx, &new).await?) })).await
}

async fn project_of(caller: &Caller, tags: &[Tag]) -> Result<ProjectId> {
    if let Some(tag) = tags.iter().find(|tag| tag.key == PROJECT_TAG) {
        let found = projects::find_by_name(&mut *caller.kernel.store().read().await?, &tag.value.parse()?).await?;
        let readable = found.filter(|project| caller.principal.may(Permission::Read, Some(project.id)));
        return readable.map(|project| project.id).ok_or_else(|| Error::not_found("project", &tag.value));
    }
    own_project(caller)
}

/// The project of a caller that names none: the one project it may write, or `default` when that is every project.
fn own_project(caller: &Caller) -> Result<ProjectId> {
    let writable: Vec<ProjectId> = match caller.principal.grants.projects(Permission::Write) {
        ProjectSet::All => return Ok(projects::default_id()),
        ProjectSet::Only(projects) => projects.into_iter().collect(),
    };
    match writable[..] {
        [project] => Ok(project),
        [] => Err(Error::new(ErrorCode::PermissionDenied, format!("`{}` may write no project", caller.principal.name))
            .with_hint("ask an administrator for a role")),
        _ => Err(refused("the project of the new experiment is not said, and there are several you may write")
            .with_hint(format!("name it with the tag `{PROJECT_TAG}`"))),
    }
}

/// An experiment, deleted ones too.
pub async fn get(caller: &Caller, id: ExperimentId) -> Result<Tagged> {
    let experiment = readable_experiment(caller, id).await?;
    tagged(caller, experiment).await
}

/// The experiment of a name, deleted ones too: that of the caller's own project, else the only one that the caller may
/// read.
///
/// # Errors
/// If there is none, or if several other projects that the caller may read have one.
pub async fn get_by_name(caller: &Caller, name: &str) -> Result<Tagged> {
    let mut found = rows::list_by_name(&mut *caller.kernel.store().read().await?, name).await?;
    found.retain(|experiment| caller.principal.may(Permission::Read, Some(experiment.project_id)));
    if let Ok(own) = own_project(caller)
        && found.iter().any(|experiment| experiment.project_id == own)
    {
        found.retain(|experiment| experiment.project_id == own);
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => tagged(caller, only).await,
        (Some(_), false) => Err(refused(format!("several projects have an experiment {}", quoted(name))).with_hint(
            "use a token of one project: `perennial tokens create NAME --on PROJECT`; or the experiment's id",
        )),
        (None, _) => Err(Error::not_found("experiment", name.escape_debug())),
    }
}

async fn tagged(caller: &Caller, experiment: Experiment) -> Result<Tagged> {
    let tags = rows::list_tags(&mut *caller.kernel.store().read().await?, experiment.id).await?;
    Ok(Tagged { experiment, tags })
}

/// Every experiment the caller may read, deleted or not as `lifecycle` says, newest first.
pub async fn list(caller: &Caller, lifecycle: Option<Lifecycle>) -> Result<Vec<Tagged>> {
    let mut reader = caller.kernel.store().read().await?;
    let mut listed = Vec::new();
    for experiment in rows::list(&mut reader).await? {
        let is_asked_for = lifecycle.is_none_or(|lifecycle| lifecycle == experiment.lifecycle);
        if is_asked_for && caller.principal.may(Permission::Read, Some(experiment.project_id)) {
            let tags = rows::list_tags(&mut reader, experiment.id).await?;
            listed.push(Tagged { experiment, tags });
        }
    }
    Ok(listed)
}

/// Gives an experiment another name.
pub async fn rename(caller: &Caller, id: ExperimentId, name: String) -> Result<()> {
    validate_name(&name)?;
    let experiment = writable_experiment(caller, id).await?;
    active(&experiment)?;
    let now = caller.kernel.services.clock.wall_ms();
    caller.kernel.store().write(move |tx| Box::pin(async move { Ok(rows::rename(tx, id, &name, now).await?) })).await
}

/// Deletes an experiment with its runs; one that is deleted is not there any more.
pub async fn delete(caller: &Caller, id: ExperimentId) -> Result<()> {
    set_lifecycle(caller, id, Lifecycle::Deleted, "delete").await
}

/// Restores a deleted experiment with all its runs.
pub async fn restore(caller: &Caller, id: ExperimentId) -> Result<()> {
    set_lifecycle(caller, id, Lifecycle::Active, "restore").await
}

async fn set_lifecycle(caller: &Caller, id: ExperimentId, lifecycle: Lifecycle, verb: &'static str) -> Result<()> {
    let experiment = writable_experiment(caller, id).await?;
    let by = Recorder::new(caller, Some(experiment.project_id)).await?;
    let (chain, payload) = (Chain::Project(experiment.project_id), serde_json::json!({ "name": experiment.name }));
    let change = LedgerEvent { chain, noun: "experiment", subject: id.to_string(), verb, payload };
    let now = caller.kernel.services.clock.wall_ms();
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if rows::get(tx, id).await?.lifecycle == lifecycle {
                    return Err(Error::not_found(
                        if lifecycle == Lifecycle::Deleted { "active experiment" } else { "deleted experiment" },
                        id,
                    ));
                }
                rows::set_lifecycle(tx, id, lifecycle, now).await?;
                by.record(tx, change).await
            })
        })
        .await
}

/// Sets a tag.
pub async fn set_tag(caller: &Caller, id: ExperimentId, tag: Tag) -> Result<()> {
    validate_tag(&tag)?;
    active(&writable_experiment(caller, id).await?)?;
    caller.kernel.store().write(move |tx| Box::pin(async move { Ok(rows::set_tag(tx, id, &tag).await?) })).await
}

/// Removes a tag.
pub async fn delete_tag(caller: &Caller, id: ExperimentId, key: String) -> Result<()> {
    active(&writable_experiment(caller, id).await?)?;
    caller.kernel.store().write(move |tx| Box::pin(async move { Ok(rows::delete_tag(tx, id, &key).await?) })).await
}

fn active(experiment: &Experiment) -> Result<()> {
    if experiment.lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(wrong_state(format!("experiment `{}` is deleted", experiment.id)).with_hint("restore it before writing to it"))
}

fn validate_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(refused(format!("Invalid value {} for parameter 'name' supplied: expected a name", quoted(name))));
    }
    length("name", name, limits::EXPERIMENT_NAME_CHARS_MAX)
}

fn validate_tag(tag: &Tag) -> Result<()> {
    super::check::key("key", &tag.key)?;
    length("value", &tag.value, limits::EXPERIMENT_TAG_CHARS_MAX)
}
