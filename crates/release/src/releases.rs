//! Reading and approving releases.

pub use perennial_core::entity::{Approval, Decision, Evidence, Promotion, Release};
use perennial_core::entity::{Endpoint, PromotionKind};
use perennial_core::ledger::{APPROVAL, Chain};
use std::sync::Arc;

use perennial_core::id::{ApprovalId, DecisionId, EvidenceId};
use perennial_core::permission::{Permission, Role, Scope};
use perennial_core::port::prediction::TrafficRole;
use perennial_core::rule::Verdict;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Conn, decisions, endpoints, evidence, principals, promotions, releases as table};

use perennial_kernel::{Caller, LedgerEvent, Recorder, wrong_state};
use perennial_projects::{ProjectState, approve_content};

pub use perennial_store::Page;

/// Newest Decisions about a release or a version that are read with it.
pub const DECISIONS_READ: u32 = 1_000;
/// Newest promotions to and from a version that are read with it.
pub const PROMOTIONS_READ: u32 = 1_000;

/// The shortest prefix of a digest that names a release.
const PREFIX_MIN: usize = 4;

/// A release with all that was said about it.
#[derive(Debug, Clone)]
pub struct ReleaseDetails {
    /// The release.
    pub release: Release,
    /// Decisions about it, newest first.
    pub decisions: Vec<Decision>,
    /// Approvals given to it, oldest first, each with who gave it.
    pub approvals: Vec<(Approval, String)>,
    /// Changes of who answers that named it, newest first.
    pub promotions: Vec<Promotion>,
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
    /// The part its version plays at an endpoint now.
    pub part: Option<TrafficRole>,
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
        let part = part_of(&mut reader, &all, &release).await?;
        listed.push(Listed {
            decision,
            approved: approvals.into_iter().map(|approval| approval.role).collect(),
            part,
            release,
        });
    }
    Ok(listed)
}

/// The decision that counts for a release: the last that was made on it.
async fn newest_decision(reader: &mut Conn, project: &ProjectState, release: &Release) -> Result<Option<Decision>> {
    Ok(decisions::find_latest_of_release(reader, project.id, &release.digest).await?)
}

/// The part that a release plays now: another release of the same version plays none.
async fn part_of(reader: &mut Conn, endpoints: &[Endpoint], release: &Release) -> Result<Option<TrafficRole>> {
    let own = endpoints.iter().filter(|endpoint| endpoint.model_id == release.model_id);
    match own.filter_map(|endpoint| Some((endpoint, endpoint.role_of(release.number)?))).min_by_key(|(_, part)| *part) {
        Some((endpoint, TrafficRole::Canary)) => {
            let is_it = endpoint.canary_release_digest.as_ref() == Some(&release.digest);
            Ok(is_it.then_some(TrafficRole::Canary))
        }
        Some((_, part)) => {
            let changes =
                promotions::list_of_version(reader, release.model_id, release.number, PROMOTIONS_READ).await?;
            let to_it = changes.into_iter().filter(|change| change.to_number == Some(release.number));
            let moved = to_it.filter(|change| change.kind != PromotionKind::Canary).max_by_key(|change| change.id);
            Ok(moved.is_none_or(|moved| moved.release_digest.as_ref() == Some(&release.digest)).then_some(part))
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
    Ok(ReleaseDetails { release, decisions, approvals, promotions })
}

/// Approves a release in a role of the caller (a higher role includes the lower ones). Without `role`: the first
/// required role without approval, else the caller's own.
pub async fn approve(
    caller: &Caller,
    project: &Arc<ProjectState>,
    prefix: &str,
    role: Option<Role>,
    note: Option<String>,
) -> Result<Approval> {
    caller.require(Permission::Approve, project.id)?;
    let release = find(caller, project, prefix).await?;
    let newest = newest_decision(&mut *caller.kernel.store().read().await?, project, &release).await?;
    if let Some(refused) = newest.filter(|decision| decision.verdict != Verdict::Pass) {
        let message = format!(
            "the gates did not let release {} pass: its decision is {}",
            &release.digest[..12],
            refused.verdict.as_str()
        );
        return Err(wrong_state(message)
            .with_hint("`perennial releases show` names the gate; only a passed release can be approved"));
    }
    let at = project.now();
    let given = table::list_approvals(&mut *caller.kernel.store().read().await?, project.id, &release.digest).await?;
    let own = role_of(caller, project);
    let role = role.unwrap_or_else(|| wanted_role(project, &given, own));
    if role > own {
        let message = format!("`{}` does not have the role {} here", caller.principal.name, role.as_str());
        return Err(Error::new(ErrorCode::PermissionDenied, message)
            .with_hint(format!("approve as {}, or ask a person with the role", own.as_str())));
    }
    if given.iter().any(|before| before.role == role && before.principal_id == caller.principal.id) {
        let message = format!("`{}` has already approved this release as {}", caller.principal.name, role.as_str());
        return Err(Error::new(ErrorCode::AlreadyExists, message).with_hint("`perennial release` continues it"));
    }
    let approval = Approval {
        id: ApprovalId::generate(),
        project_id: project.id,
        release_digest: release.digest.clone(),
        role,
        principal_id: caller.principal.id,
        note,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    let (stored, actor) = (approval.clone(), caller.principal.name.clone());
    let content = release.content_digest().map(str::to_owned);
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                table::approve(tx, &stored).await?;
                let mut events = Vec::with_capacity(2);
                if let Some(content) = content {
                    events.extend(approve_content(tx, stored.project_id, &content, &actor).await?);
                }
                events.push(LedgerEvent {
                    chain: Chain::Project(stored.project_id),
                    noun: APPROVAL,
                    subject: stored.id.to_string(),
                    verb: "create",
                    payload: stored.ledger_payload(),
                });
                Recorder { actor, cause: None, at }.record_all(tx, events).await
            })
        })
        .await?;
    Ok(approval)
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

/// Changes of who answers in a project, newest first.
pub async fn list_promotions(
    caller: &Caller,
    project: &ProjectState,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Promotion>> {
    caller.require(Permission::Read, project.id)?;
    Ok(promotions::list(&mut *caller.kernel.store().read().await?, project.id, after, limit).await?)
}

/// The caller's highest role on the project.
fn role_of(caller: &Caller, project: &ProjectState) -> Role {
    caller.principal.grants.highest_role(Scope::Project(project.id)).unwrap_or(Role::Viewer)
}

fn wanted_role(project: &ProjectState, given: &[Approval], own: Role) -> Role {
    let submission = project.find_submission();
    let wanted = submission
        .iter()
        .filter_map(|submission| submission.project.release.as_ref())
        .flat_map(|release| release.approve.iter().copied());
    let missing = wanted.into_iter().find(|role| *role <= own && !given.iter().any(|approval| approval.role == *role));
    missing.unwrap_or(own)
}

async fn find(caller: &Caller, project: &ProjectState, prefix: &str) -> Result<Release> {
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
