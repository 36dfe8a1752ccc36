//! Reading registered models.

use perennial_core::calendar::Window;
pub use perennial_core::entity::{Decision, ModelAlias, ModelVersion, RegisteredModel, Release};
use perennial_core::permission::Permission;
use perennial_core::{Error, Result};
use perennial_store::{decisions, evidence, model_versions, registered_models, releases};

use perennial_execution::steps::Evidence;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

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

/// The registered models of a project, by name.
pub async fn list(caller: &Caller, project: &ProjectState) -> Result<Vec<Model>> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let mut listed = Vec::new();
    for model in registered_models::list(&mut reader, project.id).await? {
        let mut versions = model_versions::list(&mut reader, model.id).await?;
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
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
    let decisions = decisions::list_of_version(&mut reader, version.model_id, version.number).await?;
    let Some(newest) = decisions.into_iter().max_by_key(|decision| decision.id) else { return Ok(None) };
    let row = evidence::get(&mut reader, newest.evidence_id).await?;
    let evidence: Evidence = serde_json::from_value(row.body)
        .map_err(|cause| Error::internal(format!("cannot parse evidence `{}`", row.id), cause))?;
    let value = evidence.model("candidate").and_then(|model| model.facts.get(&task.metric)?.as_f64());
    Ok(value.map(|value| Measured { metric: task.metric.clone(), value, test: evidence.split.test }))
}

/// A registered model of the project.
pub async fn get(caller: &Caller, project: &ProjectState, name: &str) -> Result<Model> {
    let found = list(caller, project).await?.into_iter().find(|model| model.model.name == name);
    found.ok_or_else(|| Error::not_found("registered model", name))
}

/// A version of a registered model, with what was decided about it.
pub async fn version(caller: &Caller, project: &ProjectState, name: &str, number: i64) -> Result<VersionDetails> {
    let model = get(caller, project, name).await?;
    let found = model.versions.iter().find(|version| version.number == number).cloned();
    let version = found.ok_or_else(|| {
        Error::not_found("model version", format!("{name}/{number}")).with_hint(match model.versions.first() {
            Some(newest) => format!("the newest of `{name}` is {}", newest.number),
            None => format!("`{name}` has no version yet"),
        })
    })?;
    let mut reader = caller.kernel.store().read().await?;
    let mut decisions = decisions::list_of_version(&mut reader, model.model.id, number).await?;
    decisions.sort_by_key(|decision| std::cmp::Reverse(decision.id));
    let releases = releases::list_of_version(&mut reader, model.model.id, number).await?;
    let aliases = model.aliases.into_iter().filter(|alias| alias.number == number).map(|alias| alias.alias).collect();
    Ok(VersionDetails { version, aliases, decisions, releases })
}
