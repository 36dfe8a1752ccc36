//! Reading releases.

pub use perennial_core::entity::{Approval, ApprovalRequest, Decision, Evidence, Promotion, Release, ReleaseOutcome};
use perennial_core::entity::{Endpoint, PromotionKind};
use perennial_core::id::{DecisionId, EvidenceId};
use perennial_core::permission::{Permission, Role};
use perennial_core::port::prediction::TrafficRole;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::{
    Conn, approval_requests, decisions, endpoints, evidence, principals, promotions, releases as table,
};

use crate::outcome::outcome;

pub use perennial_store::Page;

/// Newest Decisions about a release or a version that are read with it.
pub const DECISIONS_READ: u32 = 1_000;
/// Newest promotions to and from a version that are read with it.
pub const PROMOTIONS_READ: u32 = 1_000;

/// The shortest prefix of a digest that names a release.
const PREFIX_MIN: usize = 4;

/// A release with its decisions, approvals and promotions.
#[derive(Debug, Clone)]
pub struct ReleaseDetails {
    /// The release.
    pub release: Release,
    /// Decisions about it, newest first.
    pub decisions: Vec<Decision>,
    /// Approvals given to it, oldest first, each with who gave it.
    pub approvals: Vec<(Approval, String)>,
    /// Promotions and rollbacks of it, newest first.
    pub promotions: Vec<Promotion>,
    /// The newest request for its approval.
    pub request: Option<ApprovalRequest>,
    /// The roles that have not approved that request yet.
    pub missing: Vec<Role>,
    /// Its progress, by its latest Decision.
    pub outcome: ReleaseOutcome,
}

/// A release in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The release.
    pub release: Release,
    /// The newest decision about it.
    pub decision: Option<Decision>,
    /// The roles in which it was approved.
    pub approved: Vec<Role>,
    /// The role of its version at an endpoint now.
    pub role: Option<TrafficRole>,
}

/// Releases of a project, newest first.
pub async fn list(caller: &Caller, project: &ProjectState, limit: u32) -> Result<Vec<Listed>> {
    caller.require(Permission::Read, project.id)?;
    let mut reader = caller.kernel.store().read().await?;
    let all = endpoints::list(&mut reader, project.id).await?;
    let mut listed = Vec::new();
    for release in table::list(&mut reader, project.id, limit).await? {
        let decision = newest_decision(&mut reader, project, &release).await?;
        let approvals = table::list_approvals(&mut reader, project.id, &release.digest).await?;
        let role = role_of(&mut reader, &all, &release).await?;
        listed.push(Listed {
            decision,
            approved: approvals.into_iter().map(|approval| approval.role).collect(),
            role,
            release,
        });
    }
    Ok(listed)
}

/// The decision that counts for a release: the last that was made on it.
pub(crate) async fn newest_decision(
    reader: &mut Conn,
    project: &ProjectState,
    release: &Release,
) -> Result<Option<Decision>> {
    Ok(decisions::find_latest_of_release(reader, project.id, &release.digest).await?)
}

/// The role of a release now: another release of the same version has none.
async fn role_of(reader: &mut Conn, endpoints: &[Endpoint], release: &Release) -> Result<Option<TrafficRole>> {
    let own = endpoints.iter().filter(|endpoint| endpoint.model_id == release.model_id);
    match own.filter_map(|endpoint| Some((endpoint, endpoint.role_of(release.number)?))).min_by_key(|(_, role)| *role) {
        Some((endpoint, TrafficRole::Canary)) => {
            let is_it = endpoint.canary_release_digest.as_ref() == Some(&release.digest);
            Ok(is_it.then_some(TrafficRole::Canary))
        }
        Some((_, role)) => {
            let changes =
                promotions::list_of_version(reader, release.model_id, release.number, PROMOTIONS_READ).await?;
            let to_it = changes.into_iter().filter(|change| change.to_number == Some(release.number));
            let moved = to_it.filter(|change| change.kind != PromotionKind::Canary).max_by_key(|change| change.id);
            Ok(moved.is_none_or(|moved| moved.release_digest.as_ref() == Some(&release.digest)).then_some(role))
        }
        None => Ok(None),
    }
}

/// The release whose digest begins with `prefix`.
pub async fn get(caller: &Caller, project: &ProjectState, prefix: &str) -> Result<ReleaseDetails> {
    caller.require(Permission::Read, project.id)?;
    let release = find(caller, project, prefix).await?;
    let mut reader = caller.kernel.store().read().await?;
    let decisions = decisions::list_of_release(&mut reader, project.id, &release.digest, DECISIONS_READ).await?;
    let mut approvals = Vec::new();
    for approval in table::list_approvals(&mut reader, project.id, &release.digest).await? {
        let by = principals::get(&mut reader, approval.principal_id).await?.name;
        approvals.push((approval, by));
    }
    let (model, number) = (release.model_id, release.number);
    let mut promotions = promotions::list_of_version(&mut reader, model, number, PROMOTIONS_READ).await?;
    promotions.retain(|promotion| promotion.release_digest.as_deref() == Some(&release.digest));
    let request = approval_requests::find_latest_of_release(&mut reader, project.id, &release.digest).await?;
    let missing = match &request {
        Some(request) => approval_requests::missing_roles(&mut reader, request).await?,
        None => Vec::new(),
    };
    drop(reader);
    let outcome = match decisions.first() {
        Some(newest) => outcome(&caller.kernel, project.id, newest).await?,
        None => ReleaseOutcome::default(),
    };
    Ok(ReleaseDetails { release, decisions, approvals, promotions, request, missing, outcome })
}

/// Decisions of a project, newest first.
pub async fn list_decisions(
    caller: &Caller,
    project: &ProjectState,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Decision>> {
    caller.require(Permission::Read, project.id)?;
    Ok(decisions::list(&mut *caller.kernel.store().read().await?, project.id, after, limit).await?)
}

/// A decision of the project.
pub async fn decision(caller: &Caller, project: &ProjectState, id: DecisionId) -> Result<Decision> {
    caller.require(Permission::Read, project.id)?;
    let found = decisions::get(&mut *caller.kernel.store().read().await?, id).await?;
    if found.project_id != project.id {
        return Err(Error::not_found("decision", id));
    }
    Ok(found)
}

/// Evidence of the project.
pub async fn evidence(caller: &Caller, project: &ProjectState, id: EvidenceId) -> Result<Evidence> {
    caller.require(Permission::Read, project.id)?;
    let found = evidence::get(&mut *caller.kernel.store().read().await?, id).await?;
    if found.project_id != project.id {
        return Err(Error::not_found("evidence", id));
    }
    Ok(found)
}

/// Promotions and rollbacks in a project, newest first.
pub async fn list_promotions(
    caller: &Caller,
    project: &ProjectState,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Promotion>> {
    caller.require(Permission::Read, project.id)?;
    Ok(promotions::list(&mut *caller.kernel.store().read().await?, project.id, after, limit).await?)
}

pub(crate) async fn find(caller: &Caller, project: &ProjectState, prefix: &str) -> Result<Release> {
    let is_hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    if !is_hex || prefix.len() < PREFIX_MIN {
        let message = format!(
            "`{}` is not a release: expected the first {PREFIX_MIN} or more lowercase hexadecimal digits of its digest",
            prefix.escape_debug()
        );
        return Err(Error::new(ErrorCode::InvalidArgument, message).with_hint("`perennial releases` lists them"));
    }
    let found =
        table::find_by_prefix(&mut *caller.kernel.store().read().await?, project.id, prefix, &format!("{prefix}g"))
            .await?;
    match <[Release; 1]>::try_from(found) {
        Ok([release]) => Ok(release),
        Err(none) if none.is_empty() => Err(Error::not_found("release", prefix)),
        Err(_) => Err(Error::new(ErrorCode::InvalidArgument, format!("more than one release begins with `{prefix}`"))
            .with_hint("give more digits")),
    }
}
