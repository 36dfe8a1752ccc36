//! Approvals: a passed Decision waits in a request until every role has approved, then its release continues by itself.
//!
//! A release acts with the rights of those who submitted its content: project file, SQL, code. Content has an approver when
//! a principal with the permission to approve submitted it, released it, or approved a release of it. Content without one
//! needs an approval, whatever started its release.
//!
//! ```text
//! Decision passed ─▶ request ── last approval ─▶ durable job ─▶ canary or promotion
//!                       └────── rejection ─────▶ refused until a person names it
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::cause::Cause;
use perennial_core::clock::Instant;
use perennial_core::entity::{Approval, ApprovalRequest, Decision, Release};
use perennial_core::id::{ApprovalId, ApprovalRequestId, ProjectId};
use perennial_core::ledger::{APPROVAL, Chain};
use perennial_core::permission::{Permission, Role, Scope};
use perennial_core::rule::Verdict;
use perennial_core::state::{ApprovalRequestEvent, ApprovalRequestState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::alerts::{self, AlertSubject};
use perennial_kernel::jobs::JobKind;
use perennial_kernel::{Caller, Kernel, LedgerEvent, Recorder, wrong_state};
use perennial_projects::{ProjectState, approve_content};
use perennial_store::{Tx, approval_requests as table, projects, releases};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::decisions::release_node;
use crate::releases::{find, newest_decision};
use crate::releasing::Releasing;

/// Requests that wait for approvals and are listed, the oldest.
pub const WAITING_MAX: u32 = 1_000;
/// The name of the alert about a release that waits for approvals.
const APPROVAL_ALERT: &str = "approval";

/// Continues a release whose last approval was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContinueRelease {
    project: ProjectId,
    pub(crate) request: ApprovalRequestId,
}

impl JobKind for ContinueRelease {
    const NAME: &'static str = "continue_release";

    fn project(&self) -> ProjectId {
        self.project
    }
}

/// A request that waits, with the roles that have not approved yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The request.
    pub request: ApprovalRequest,
    /// The roles that have not approved yet.
    pub missing: Vec<Role>,
    /// Whether the caller may give one of them.
    pub is_for_caller: bool,
}

/// An approval that was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The approval.
    pub approval: Approval,
    /// The request that it answers.
    pub request: ApprovalRequestId,
    /// The roles that have not approved yet; with none, the release continues.
    pub missing: Vec<Role>,
}

/// The first digits of a digest, as messages show them.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

pub(crate) fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether a principal with the permission to approve has submitted content, released it or approved a release of it.
pub(crate) async fn has_approver(kernel: &Kernel, project: ProjectId, content: &str) -> Result<bool> {
    Ok(projects::get_file(&mut *kernel.store().read().await?, project, content).await?.approver.is_some())
}

/// The roles that must approve a release: those that `[release] approve` declares; where it declares none, an approver
/// for content without one.
fn required_roles(releasing: &Releasing<'_>) -> Vec<Role> {
    let declared = releasing.submission.project.release.as_ref();
    match declared.map(|release| release.approve.clone()).unwrap_or_default() {
        none if none.is_empty() && !releasing.has_approver => vec![Role::Approver],
        declared => declared,
    }
}

fn waiting_message(request: &ApprovalRequest, missing: &[Role], has_approver: bool) -> String {
    let (number, digest) = (request.number, short(&request.release_digest));
    let why = if has_approver { "" } else { ", because no approver has submitted or released its content" };
    format!("version {number} needs approval from role {}{why}: `perennial releases approve {digest}`", names(missing))
}

/// Requests the approvals that a release needs, once for its Decision. Returns what it waits for, in one line; `None` when
/// it needs none. A request that is still open is replaced.
pub(crate) async fn request(releasing: &Releasing<'_>, decision: &Decision) -> Result<Option<String>> {
    let Releasing { caller, project, .. } = releasing;
    let roles = required_roles(releasing);
    if roles.is_empty() {
        replace_open(caller, project, decision).await?;
        return Ok(None);
    }
    let mut reader = caller.kernel.store().read().await?;
    let latest = table::find_latest_of_release(&mut reader, project.id, &decision.release_digest).await?;
    if let Some(open) = latest.filter(|latest| latest.decision_id == decision.id && latest.state.is_open()) {
        return Ok(Some(match open.state {
            ApprovalRequestState::Waiting => {
                let missing = table::missing_roles(&mut reader, &open).await?;
                waiting_message(&open, &missing, releasing.has_approver)
            }
            _ => format!("version {} is approved, and its release continues", open.number),
        }));
    }
    drop(reader);
    let at = project.now();
    let new = ApprovalRequest {
        id: ApprovalRequestId::generate(),
        project_id: project.id,
        decision_id: decision.id,
        release_digest: decision.release_digest.clone(),
        number: decision.number,
        roles,
        cause: releasing.cause.clone(),
        requested_by: requested_by(releasing),
        state: ApprovalRequestState::Waiting,
        closed_by: None,
        reason: None,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        closed_ms: None,
    };
    let message = waiting_message(&new, &new.roles, releasing.has_approver);
    let by = Recorder { actor: caller.principal.name.clone(), cause: caller.cause_text(), at };
    let alerted = message.clone();
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            let mut events = replace_open_in(tx, new.project_id, new.number, at).await?;
            table::insert(tx, &new).await?;
            let payload = json!({ "release": new.release_digest, "decision": new.decision_id, "roles": new.roles });
            events.push(event(&new, "request", payload));
            let about = (AlertSubject::Release(new.release_digest.clone()), APPROVAL_ALERT, new.wall_ms);
            let facts = json!({ "version": new.number, "roles": new.roles });
            let alert = alerts::new(new.project_id, at, about, facts, alerted);
            events.extend(alerts::fire_in(tx, &alert, Some(&release_node(&new.release_digest))).await?);
            by.record_all(tx, events).await
        })
    });
    write.await?;
    Ok(Some(message))
}

/// The name of the principal whose release it is: the person who asked for it, else the actor of the run.
fn requested_by(releasing: &Releasing<'_>) -> String {
    match releasing.cause {
        Cause::Person { by, .. } => by.clone(),
        Cause::Trigger { trigger, .. } => format!("trigger {trigger}"),
        _ => releasing.caller.principal.name.clone(),
    }
}

fn event(request: &ApprovalRequest, verb: &'static str, payload: serde_json::Value) -> LedgerEvent {
    let (chain, subject) = (Chain::Project(request.project_id), request.id.to_string());
    LedgerEvent { chain, noun: "approval_request", subject, verb, payload }
}

/// Replaces the open requests of a project: a release without approvals takes their place.
async fn replace_open(caller: &Caller, project: &ProjectState, decision: &Decision) -> Result<()> {
    if table::list_open(&mut *caller.kernel.store().read().await?, project.id).await?.is_empty() {
        return Ok(());
    }
    let at = project.now();
    let by = Recorder { actor: caller.principal.name.clone(), cause: caller.cause_text(), at };
    let (project_id, number) = (project.id, decision.number);
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            let events = replace_open_in(tx, project_id, number, at).await?;
            by.record_all(tx, events).await
        })
    });
    write.await
}

/// Replaces the open requests of a project within the transaction that releases version `number`; returns the events to
/// record.
async fn replace_open_in(tx: &mut Tx, project: ProjectId, number: i64, at: Instant) -> Result<Vec<LedgerEvent>> {
    let mut events = Vec::new();
    for open in table::list_open(tx, project).await? {
        let reason = format!("the release of version {number} took its place");
        events.extend(close(tx, &open, ApprovalRequestEvent::Replace, (None, Some(&reason)), at.wall_ms).await?);
    }
    Ok(events)
}

/// Takes a request through an event within a transaction, and resolves the alert that it waits; returns the events to
/// record.
pub(crate) async fn close(
    tx: &mut Tx,
    request: &ApprovalRequest,
    change: ApprovalRequestEvent,
    (by, reason): (Option<&str>, Option<&str>),
    wall_ms: i64,
) -> Result<Vec<LedgerEvent>> {
    let state = table::apply(tx, request.id, change, (by, reason), wall_ms).await?;
    let subject = AlertSubject::Release(request.release_digest.clone());
    let about = (&subject, APPROVAL_ALERT);
    let mut events = alerts::resolve_past_in(tx, request.project_id, about, |_| true, wall_ms).await?;
    let verb = match change {
        ApprovalRequestEvent::Approve => "complete",
        ApprovalRequestEvent::Reject => "reject",
        ApprovalRequestEvent::Release => "release",
        ApprovalRequestEvent::Fail => "fail",
        ApprovalRequestEvent::Replace => "replace",
    };
    let payload = json!({ "release": request.release_digest, "state": state.as_str(), "reason": reason });
    events.push(event(request, verb, payload));
    Ok(events)
}

/// The requests that wait for approvals in the projects that the caller may read, oldest first.
pub async fn list_waiting(caller: &Caller) -> Result<Vec<Waiting>> {
    let mut reader = caller.kernel.store().read().await?;
    let mut waiting = table::list_waiting(&mut reader, WAITING_MAX).await?;
    waiting.retain(|(request, _)| caller.principal.may(Permission::Read, Some(request.project_id)));
    let listed = waiting.into_iter().map(|(request, missing)| {
        let is_for_caller = may_give_one(caller, request.project_id, &missing);
        Waiting { request, missing, is_for_caller }
    });
    Ok(listed.collect())
}

/// The number of requests that wait for approvals, of each project that the caller may read and that has some.
pub async fn count_waiting(caller: &Caller) -> Result<BTreeMap<ProjectId, u64>> {
    let counts = table::count_waiting(&mut *caller.kernel.store().read().await?).await?;
    Ok(caller.readable_counts(counts))
}

/// The number of releases of a project that wait for an approval which the caller may give.
pub async fn count_for_caller(caller: &Caller, project: ProjectId) -> Result<usize> {
    if !caller.principal.may(Permission::Approve, Some(project)) {
        return Ok(0);
    }
    let mut reader = caller.kernel.store().read().await?;
    let mut count = 0;
    for request in table::list_open(&mut reader, project).await? {
        let is_waiting = request.state == ApprovalRequestState::Waiting;
        if is_waiting && may_give_one(caller, project, &table::missing_roles(&mut reader, &request).await?) {
            count += 1;
        }
    }
    Ok(count)
}

/// Whether the caller may approve in one of the roles.
fn may_give_one(caller: &Caller, project: ProjectId, roles: &[Role]) -> bool {
    let own = caller.principal.grants.highest_role(Scope::Project(project));
    caller.principal.may(Permission::Approve, Some(project)) && roles.iter().any(|role| Some(*role) <= own)
}

/// Approves a release in a role of the caller; a higher role includes the lower ones. Without `role`: the first
/// required role without approval that the caller has. The last approval continues the release.
///
/// # Errors
/// If the release waits for no approval, or not for one in this role.
pub async fn approve(
    caller: &Caller,
    project: &Arc<ProjectState>,
    prefix: &str,
    role: Option<Role>,
    note: Option<String>,
) -> Result<Given> {
    caller.require(Permission::Approve, project.id)?;
    let (release, request) = waiting_request(caller, project, prefix).await?;
    let missing = table::missing_roles(&mut *caller.kernel.store().read().await?, &request).await?;
    let role = role_to_give(caller, &request, &missing, role)?;
    let at = project.now();
    let approval = Approval {
        id: ApprovalId::generate(),
        project_id: project.id,
        request_id: Some(request.id),
        release_digest: request.release_digest.clone(),
        role,
        principal_id: caller.principal.id,
        note,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    let by = Recorder { actor: caller.principal.name.clone(), cause: None, at };
    let (stored, answered, jobs) = (approval.clone(), request.clone(), caller.kernel.jobs.clone());
    let content = release.content_digest().map(str::to_owned);
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            table::lock_waiting(tx, answered.id).await?;
            releases::approve(tx, &stored).await?;
            let missing = table::missing_roles(tx, &answered).await?;
            let payload = stored.ledger_payload();
            let chain = Chain::Project(stored.project_id);
            let subject = stored.id.to_string();
            let mut events = vec![LedgerEvent { chain, noun: APPROVAL, subject, verb: "create", payload }];
            if let Some(content) = content {
                events.extend(approve_content(tx, answered.project_id, &content, &by.actor).await?);
            }
            if missing.is_empty() {
                let change = ApprovalRequestEvent::Approve;
                events.extend(close(tx, &answered, change, (Some(&by.actor), None), at.wall_ms).await?);
                let job = ContinueRelease { project: answered.project_id, request: answered.id };
                jobs.enqueue(tx, &job).await?;
            }
            by.record_all(tx, events).await?;
            Ok(missing)
        })
    });
    let missing = write.await?;
    Ok(Given { approval, request: request.id, missing })
}

/// Rejects a release that waits for approvals. It is refused until a person names it.
pub async fn reject(caller: &Caller, project: &Arc<ProjectState>, prefix: &str, reason: &str) -> Result<String> {
    caller.require(Permission::Approve, project.id)?;
    let reason = required_reason(reason, "rejection")?.to_owned();
    let (_, request) = waiting_request(caller, project, prefix).await?;
    let at = project.now();
    let by = Recorder { actor: caller.principal.name.clone(), cause: None, at };
    let message = format!("release {} is rejected: version {}", short(&request.release_digest), request.number);
    let write = caller.kernel.store().write(move |tx| {
        Box::pin(async move {
            let change = ApprovalRequestEvent::Reject;
            let events = close(tx, &request, change, (Some(&by.actor), Some(&reason)), at.wall_ms).await?;
            by.record_all(tx, events).await
        })
    });
    write.await?;
    Ok(message)
}

/// A reason that must not be empty.
pub fn required_reason<'a>(reason: &'a str, noun: &str) -> Result<&'a str> {
    match reason.trim() {
        "" => Err(Error::new(ErrorCode::InvalidArgument, format!("a {noun} needs a reason"))
            .with_hint("say in a few words why; the ledger keeps it")),
        reason => Ok(reason),
    }
}

/// A release with the request about it that waits.
async fn waiting_request(caller: &Caller, project: &ProjectState, prefix: &str) -> Result<(Release, ApprovalRequest)> {
    let release = find(caller, project, prefix).await?;
    let digest = short(&release.digest).to_owned();
    let mut reader = caller.kernel.store().read().await?;
    let newest = newest_decision(&mut reader, project, &release).await?;
    let latest = table::find_latest_of_release(&mut reader, project.id, &release.digest).await?;
    if let Some(refused) = newest.filter(|decision| decision.verdict != Verdict::Pass) {
        let verdict = refused.verdict.as_str();
        return Err(wrong_state(format!("the gates did not let release {digest} pass: its decision is {verdict}"))
            .with_hint("`perennial releases show` names the gate; only a passed release can be approved"));
    }
    let state = latest.as_ref().map(|latest| latest.state.as_str());
    match latest.filter(|latest| latest.state == ApprovalRequestState::Waiting) {
        Some(waiting) => Ok((release, waiting)),
        None => {
            let was = state.map_or_else(String::new, |state| format!(": it is {state}"));
            Err(wrong_state(format!("release {digest} waits for no approval{was}"))
                .with_hint("`perennial approvals` lists the releases that wait"))
        }
    }
}

/// The role in which the caller approves.
fn role_to_give(caller: &Caller, request: &ApprovalRequest, missing: &[Role], asked: Option<Role>) -> Result<Role> {
    let own = caller.principal.grants.highest_role(Scope::Project(request.project_id)).unwrap_or(Role::Viewer);
    let name = &caller.principal.name;
    let digest = short(&request.release_digest);
    let lacks = |role: &str| {
        Error::new(ErrorCode::PermissionDenied, format!("`{name}` does not have the role {role} here"))
            .with_hint(format!("release {digest} waits for approval from role {}", names(missing)))
    };
    match asked {
        Some(role) if !request.roles.contains(&role) => Err(wrong_state(format!(
            "no approval from role {} is required: release {digest} waits for role {}",
            role.as_str(),
            names(missing)
        ))),
        Some(role) if !missing.contains(&role) => Err(Error::new(
            ErrorCode::AlreadyExists,
            format!("release {digest} has its approval from role {} already", role.as_str()),
        )
        .with_hint(format!("it waits for role {}", names(missing)))),
        Some(role) if role > own => Err(lacks(role.as_str())),
        Some(role) => Ok(role),
        None => missing.iter().copied().find(|role| *role <= own).ok_or_else(|| lacks(&names(missing))),
    }
}
