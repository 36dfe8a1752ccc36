//! Reading registered models.

use perennial_core::calendar::Window;
pub use perennial_core::entity::{Decision, ModelAlias, ModelVersion, RegisteredModel, Release};
use perennial_core::permission::Permission;
use perennial_core::{Error, Result};
use perennial_store::{Conn, decisions, evidence, model_versions, registered_models, releases};

use perennial_execution::steps::Evidence;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

use crate::releases::DECISIONS_READ;

/// Registered models of a project that are listed, the first by name.
pub const MODELS_MAX: u32 = 1_000;
/// Versions of a model that are listed, the newest.
pub const VERSIONS_MAX: u32 = 1_000;
/// Releases of a version that are listed, the newest.
pub const RELEASES_MAX: u32 = 1_000;

/// A registered model with its versions, newest first, and its aliases.
#[derive(Debug, Clone)]
pub struct Model {
    /// The model.
    pub model: RegisteredModel,
    /// Its versions, newest first.
    pub versions: Vec<ModelVersion>,
    /// Its aliases.
    pub aliases: Vec<ModelAlias>,
}

/// A version with what was decided about it.
#[derive(Debug, Clone)]
pub struct VersionDetails {
    /// The version.
    pub version: ModelVersion,
    /// Aliases that name it.
    pub aliases: Vec<String>,
    /// Decisions about it, newest first.
    pub decisions: Vec<Decision>,
    /// Releases of it, newest first.
    pub releases: Vec<Release>,
}

/// The registered models of a project, by name: the first [`MODELS_MAX`], each with its newest [`VERSIONS_MAX`] versions.
pub async fn list(caller: &Caller, project: &ProjectState) -> Result<Vec<Model>> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let mut listed = Vec::new();
    for model in registered_models::list(&mut reader, project.id, None, MODELS_MAX).await?.items {
        let versions = model_versions::list(&mut reader, model.id, None, VERSIONS_MAX).await?.items;
        let aliases = registered_models::list_aliases(&mut reader, model.id).await?;
        listed.push(Model { model, versions, aliases });
    }
    Ok(listed)
}

/// How good a version was, as the newest Decision about it measured it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The task's metric.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// The window it was measured on; figures of different windows are not comparable.
    pub test: Window,
}

/// The task's metric of a version, as the newest Decision about it measured it.
pub async fn measure(caller: &Caller, project: &ProjectState, version: &ModelVersion) -> Result<Option<Measured>> {
    caller.require(Permission::Read, project.id)?;
    let submission = project.find_submission();
    let Some(task) = submission.as_ref().and_then(|submission| submission.project.task.as_ref()) else {
        return Ok(None);
    };
    let mut reader = caller.kernel.store().read().await?;
    let newest = decisions::list_of_version(&mut reader, version.model_id, version.number, 1).await?;
    let Some(newest) = newest.into_iter().next() else { return Ok(None) };
    let row = evidence::get(&mut reader, newest.evidence_id).await?;
    let evidence: Evidence = serde_json::from_value(row.body)
        .map_err(|cause| Error::internal(format!("cannot parse evidence `{}`", row.id), cause))?;
    let value = evidence.model("candidate").and_then(|model| model.facts.get(&task.metric)?.as_f64());
    Ok(value.map(|value| Measured { metric: task.metric.clone(), value, test: evidence.split.test }))
}

/// A version of a registered model, with what was decided about it.
pub async fn version(caller: &Caller, project: &ProjectState, name: &str, number: i64) -> Result<VersionDetails> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let model = registered_models::find_by_name(&mut reader, name).await?;
    let model = model.filter(|model| model.project_id == project.id);
    let model = model.ok_or_else(|| Error::not_found("registered model", name))?;
    let Some(version) = find_version(&mut reader, &model, Some(number)).await?.filter(|found| found.number == number)
    else {
        let newest = find_version(&mut reader, &model, None).await?;
        return Err(Error::not_found("model version", format!("{name}/{number}")).with_hint(match newest {
            Some(newest) => format!("the newest of `{name}` is {}", newest.number),
            None => format!("`{name}` has no version yet"),
        }));
    };
    let decisions = decisions::list_of_version(&mut reader, model.id, number, DECISIONS_READ).await?;
    let releases = releases::list_of_version(&mut reader, model.id, number, RELEASES_MAX).await?;
    let aliases = registered_models::list_aliases(&mut reader, model.id).await?;
    let aliases = aliases.into_iter().filter(|alias| alias.number == number).map(|alias| alias.alias).collect();
    Ok(VersionDetails { version, aliases, decisions, releases })
}

/// The newest version of a model, up to a number.
async fn find_version(reader: &mut Conn, model: &RegisteredModel, up_to: Option<i64>) -> Result<Option<ModelVersion>> {
    let before = up_to.map(|number| number.saturating_add(1));
    Ok(model_versions::list(reader, model.id, before, 1).await?.items.pop())
}
