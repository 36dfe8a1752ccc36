//! Source grants: the URL prefixes below which the sources of a project may read.
//!
//! The server reads object stores with its own credentials. So a source with a URL needs a grant, which an administrator of
//! the server gives. The submission of the project in the server's own folder, by the server or a command there, grants the
//! folders of its sources: a person who can write that folder has the credentials, too. The server's own storage is never a
//! source.

use std::sync::Arc;

use perennial_config::Project;
pub use perennial_core::entity::SourceGrant;
use perennial_core::id::ProjectId;
use perennial_core::ledger::Chain;
use perennial_core::name::ProjectName;
use perennial_core::object_url::ObjectUrl;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, Kernel, LedgerEvent, Recorder};
use perennial_store::{Conn, Tx, projects, source_grants as table};
use serde_json::json;

use crate::ProjectState;

/// Grants a project a URL prefix such as `s3://bucket/in/`. Returns the grant, and whether it is new.
pub async fn allow(caller: &Caller, project: &Arc<ProjectState>, prefix: &str) -> Result<(SourceGrant, bool)> {
    caller.principal.require(Permission::Manage, None)?;
    let prefix = ObjectUrl::parse_prefix(prefix)?;
    require_foreign(&caller.kernel, &prefix)?;
    let by = Recorder::new(caller, Some(project.id)).await?;
    let grant = grant(project.id, prefix, &by);
    let stored = grant.clone();
    let is_new = caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let event = insert(tx, &stored).await?;
                let is_new = event.is_some();
                by.record_all(tx, event.into_iter().collect()).await?;
                Ok(is_new)
            })
        })
        .await?;
    project.touch();
    Ok((grant, is_new))
}

/// Withdraws a URL prefix from a project; NotFound when it does not have exactly that one. What was loaded stays.
pub async fn deny(caller: &Caller, project: &Arc<ProjectState>, prefix: &str) -> Result<ObjectUrl> {
    caller.principal.require(Permission::Manage, None)?;
    let prefix = ObjectUrl::parse_prefix(prefix)?;
    let by = Recorder::new(caller, Some(project.id)).await?;
    let (id, name, removed) = (project.id, project.name.clone(), prefix.clone());
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if !table::delete(tx, id, &removed).await? {
                    let hint = format!("`perennial sources list {name}` lists them");
                    return Err(Error::not_found("source grant", removed).with_hint(hint));
                }
                by.record(tx, event(id, &removed, "deny")).await
            })
        })
        .await?;
    project.touch();
    Ok(prefix)
}

/// The URL prefixes that a project was granted, by prefix.
pub async fn list(caller: &Caller, project: &ProjectState) -> Result<Vec<SourceGrant>> {
    caller.require(Permission::Read, project.id)?;
    Ok(table::list(&mut *caller.kernel.store().read().await?, project.id).await?)
}

/// Returns PermissionDenied unless every source of a project file may be read by the project, once the caller has
/// submitted it. A project that does not exist yet has no grants.
pub async fn validate(caller: &Caller, project: Option<ProjectId>, file: &Project) -> Result<()> {
    let granted = granted(&caller.kernel, project).await?;
    for dataset in file.datasets.values() {
        validate_source(caller, &granted, &file.project.name, &dataset.source.files)?;
    }
    Ok(())
}

/// As [`validate`], for one source of a project.
pub async fn validate_files(caller: &Caller, project: &ProjectState, files: &str) -> Result<()> {
    let granted = granted(&caller.kernel, Some(project.id)).await?;
    validate_source(caller, &granted, &project.name, files)
}

fn validate_source(caller: &Caller, granted: &[SourceGrant], project: &ProjectName, files: &str) -> Result<()> {
    if !ObjectUrl::is_url(files) {
        return Ok(());
    }
    let url: ObjectUrl = files.parse()?;
    require_foreign(&caller.kernel, &url)?;
    if caller.is_host() { Ok(()) } else { require_granted(granted, project, &url) }
}

/// Returns PermissionDenied unless the project may read the files of a source now. Called whenever a source is read.
pub async fn require(kernel: &Kernel, project: &ProjectState, files: &str) -> Result<()> {
    if !ObjectUrl::is_url(files) {
        return Ok(());
    }
    let url: ObjectUrl = files.parse()?;
    require_foreign(kernel, &url)?;
    require_granted(&granted(kernel, Some(project.id)).await?, &project.name, &url)
}

async fn granted(kernel: &Kernel, project: Option<ProjectId>) -> Result<Vec<SourceGrant>> {
    let Some(project) = project else { return Ok(Vec::new()) };
    Ok(table::list(&mut *kernel.store().read().await?, project).await?)
}

fn require_granted(granted: &[SourceGrant], project: &ProjectName, url: &ObjectUrl) -> Result<()> {
    if granted.iter().any(|grant| url.is_below(&grant.prefix)) {
        return Ok(());
    }
    let message = format!("project `{project}` may not read `{url}`: no administrator has allowed this source");
    Err(Error::new(ErrorCode::PermissionDenied, message).with_hint(format!(
        "an administrator of the server allows it with `perennial sources allow {project} {}`",
        url.folder()
    )))
}

/// Refuses a URL that could name an object of the server's own storage.
fn require_foreign(kernel: &Kernel, url: &ObjectUrl) -> Result<()> {
    match &kernel.services.artifacts {
        Some(own) if url.may_reach(own) => {
            let message = format!("`{url}` can name objects of the server's own storage, which is never a source");
            Err(Error::new(ErrorCode::PermissionDenied, message)
                .with_hint("put the files into another bucket, or below another prefix, and name that prefix"))
        }
        _ => Ok(()),
    }
}

/// Grants the folders of the sources of a project file that lack a grant. Returns the events to record.
pub(crate) async fn allow_sources(
    tx: &mut Tx,
    project: ProjectId,
    sources: &[ObjectUrl],
    by: &Recorder,
) -> Result<Vec<LedgerEvent>> {
    let mut events = Vec::new();
    let mut added: Vec<ObjectUrl> = Vec::new();
    for source in ungranted(tx, project, sources.to_vec()).await? {
        // A folder that was granted for an earlier source may contain this one.
        if !added.iter().any(|prefix| source.is_below(prefix)) {
            let grant = grant(project, source.folder(), by);
            events.extend(insert(tx, &grant).await?);
            added.push(grant.prefix);
        }
    }
    Ok(events)
}

/// Those of the sources that lack a grant.
pub(crate) async fn ungranted(
    conn: &mut Conn,
    project: ProjectId,
    mut sources: Vec<ObjectUrl>,
) -> Result<Vec<ObjectUrl>> {
    if !sources.is_empty() {
        let granted = table::list(conn, project).await?;
        sources.retain(|source| !granted.iter().any(|grant| source.is_below(&grant.prefix)));
    }
    Ok(sources)
}

/// The URLs of the sources of a project file that are not local.
pub(crate) fn urls(file: &Project) -> Vec<ObjectUrl> {
    let files = file.datasets.values().map(|dataset| &dataset.source.files);
    files.filter(|files| ObjectUrl::is_url(files)).filter_map(|files| files.parse().ok()).collect()
}

/// The project that a project file names, if there is one and the caller may read it.
pub(crate) async fn readable(caller: &Caller, name: &ProjectName) -> Result<Option<ProjectId>> {
    let found = projects::find_by_name(&mut *caller.kernel.store().read().await?, name).await?;
    Ok(found.map(|found| found.id).filter(|id| caller.principal.may(Permission::Read, Some(*id))))
}

fn grant(project_id: ProjectId, prefix: ObjectUrl, by: &Recorder) -> SourceGrant {
    SourceGrant { project_id, prefix, granted_by: by.actor.clone(), created_ms: by.at.wall_ms }
}

async fn insert(tx: &mut Tx, grant: &SourceGrant) -> Result<Option<LedgerEvent>> {
    let is_new = table::insert(tx, grant).await?;
    Ok(is_new.then(|| event(grant.project_id, &grant.prefix, "allow")))
}

fn event(project: ProjectId, prefix: &ObjectUrl, verb: &'static str) -> LedgerEvent {
    let (subject, payload) = (prefix.to_string(), json!({ "prefix": prefix.to_string() }));
    LedgerEvent { chain: Chain::Project(project), noun: "source_grant", subject, verb, payload }
}
