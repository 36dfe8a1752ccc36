//! Tokens: each carries its principal's grants. The ledger records their creation and revocation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use perennial_core::Result;
use perennial_core::entity::{GrantOrigin, PrincipalKind, Token, TokenKind};
use perennial_core::id::{PrincipalId, ProjectId, RunId, TokenId};
use perennial_core::name::{ProjectName, StepName};
use perennial_core::permission::{Permission, Principal, Role, Scope};
use perennial_store::{Tx, grants, principals, projects, sessions, tokens};
use serde_json::json;

use super::principals::{Wanted, chain_of, find_or_create};
use super::{PrincipalRecord, TokenRecord, forget_cached_principals, hash, secret};
use crate::ledger::{LedgerEvent, Recorder};
use crate::{Caller, Kernel, wrong_state};

/// How long a step's token lives at most: longer than any step, and revoked when the step ends.
const STEP_TOKEN_MS: i64 = 7 * 24 * 3_600_000;
/// How long a revoked or expired token stays listed.
const VOID_KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// A new token. The secret is shown once; only its hash is stored.
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// What a client sends as Bearer.
    pub secret: String,
}

/// The principal of the server's own machine, at a start: of the server's own user at its Unix socket. Deletes every
/// one-time link, and long-expired tokens and sessions; revokes the tokens that earlier versions gave the host.
pub async fn host(kernel: &Arc<Kernel>) -> Result<Principal> {
    let caller = Caller::system(kernel.clone(), "start");
    let (by, asking) = (Recorder::new(&caller, None).await?, caller.principal.clone());
    let now = kernel.services.clock.wall_ms();
    let wanted =
        Wanted { name: "host".to_owned(), kind: PrincipalKind::Host, scope: Scope::Server, role: Some(Role::Admin) };
    let (host, void) = kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                tokens::delete_stale(tx, now - VOID_KEPT_MS).await?;
                tokens::delete_admin_links(tx).await?;
                sessions::delete_expired(tx, now).await?;
                let void = tokens::revoke_all_of_kind(tx, TokenKind::Host, now).await?;
                end_sessions(tx, &void.rows).await?;
                let (id, changes) = find_or_create(tx, &wanted, &asking, now).await?;
                by.record_all(tx, changes).await?;
                Ok((id, void))
            })
        })
        .await?;
    kernel.readable(void);
    forget_cached_principals();
    Ok(principals::load(&mut *kernel.store().read().await?, host).await?)
}

/// A short-lived token of a step: it reads its project and writes its run, child runs and their models.
pub async fn step_token(
    caller: &Caller,
    (project, name): (ProjectId, &ProjectName),
    step: &StepName,
    run: RunId,
) -> Result<NewToken> {
    caller.require(Permission::Write, project)?;
    let expires_ms = caller.kernel.services.clock.wall_ms() + STEP_TOKEN_MS;
    let wanted = Wanted {
        name: format!("step:{name}/{step}"),
        kind: PrincipalKind::Step,
        scope: Scope::Project(project),
        role: Some(Role::Contributor),
    };
    issue(caller, wanted, TokenKind::Step, Some(run), Some(expires_ms)).await
}

/// A token for a person, with a role on the whole server or on one project. A new person is granted that role. An
/// existing person gets a further token if it gives exactly that role; an only grant is replaced when none of the
/// person's tokens is valid any more; everything else is refused.
pub async fn create_person_token(
    caller: &Caller,
    name: &str,
    role: Role,
    project: Option<ProjectId>,
) -> Result<NewToken> {
    caller.principal.require(Permission::Manage, project)?;
    issue(caller, Wanted::person(name, Some(role), project.into())?, TokenKind::Person, None, None).await
}

/// A token that gives what a person holds: every grant, or those that apply in `project`. The caller has to manage the
/// scope of each. A new person becomes a viewer.
pub async fn create_held_token(caller: &Caller, name: &str, project: Option<ProjectId>) -> Result<NewToken> {
    caller.principal.require(Permission::Manage, project)?;
    issue(caller, Wanted::person(name, None, project.into())?, TokenKind::Person, None, None).await
}

async fn issue(
    caller: &Caller,
    wanted: Wanted,
    kind: TokenKind,
    run_id: Option<RunId>,
    expires_ms: Option<i64>,
) -> Result<NewToken> {
    let project = wanted.scope.project();
    let (by, asking) = (Recorder::new(caller, project).await?, caller.principal.clone());
    let made = NewToken { id: TokenId::generate(), secret: secret() };
    let (id, secret_hash, now) = (made.id, hash(&made.secret), caller.kernel.services.clock.wall_ms());
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let (principal_id, mut changes) = find_or_create(tx, &wanted, &asking, now).await?;
                let token = Token {
                    id,
                    principal_id,
                    secret_hash,
                    kind,
                    name: wanted.name.clone(),
                    project_id: project,
                    run_id,
                    created_ms: now,
                    expires_ms,
                    revoked_ms: None,
                };
                tokens::insert(tx, &token).await?;
                changes.push(change(&token, "create"));
                by.record_all(tx, changes).await
            })
        })
        .await?;
    Ok(made)
}

/// The ledger event about a token, without its secret or the secret's hash.
fn change(token: &Token, verb: &'static str) -> LedgerEvent {
    LedgerEvent {
        chain: chain_of(token.project_id.into()),
        noun: "token",
        subject: token.id.to_string(),
        verb,
        payload: json!({
            "principal": token.principal_id, "name": token.name, "kind": token.kind.as_str(),
            "project": token.project_id, "run": token.run_id, "expires_ms": token.expires_ms,
        }),
    }
}

/// Revokes a token.
pub async fn revoke(caller: &Caller, token: &NewToken) -> Result<()> {
    revoke_by_id(caller, token.id).await
}

/// Revokes the token of an id for a caller who manages its project or, without one, the server. Browser
/// sessions of its principal end with it.
pub async fn revoke_token(caller: &Caller, id: TokenId) -> Result<()> {
    let token = tokens::get(&mut *caller.kernel.store().read().await?, id).await;
    let project = token.as_ref().ok().and_then(|token| token.project_id);
    // A caller who may not revoke the token does not learn whether it exists.
    caller.principal.require(Permission::Manage, project)?;
    if token?.kind == TokenKind::Host {
        return Err(wrong_state(format!(
            "token `{id}` belongs to the server itself, for commands in its folder; it ends with the server"
        )));
    }
    revoke_by_id(caller, id).await
}

async fn revoke_by_id(caller: &Caller, id: TokenId) -> Result<()> {
    let token = tokens::get(&mut *caller.kernel.store().read().await?, id).await?;
    let (by, now) = (Recorder::new(caller, token.project_id).await?, caller.kernel.services.clock.wall_ms());
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let token = tokens::get(tx, id).await?;
                if token.revoked_ms.is_some() {
                    return Ok(());
                }
                tokens::revoke(tx, id, now).await?;
                end_sessions(tx, std::slice::from_ref(&token)).await?;
                by.record(tx, change(&token, "revoke")).await
            })
        })
        .await?;
    forget_cached_principals();
    Ok(())
}

/// Ends the browser sessions of the principals of revoked tokens: a revoked token may have started them.
async fn end_sessions(tx: &mut Tx, void: &[Token]) -> Result<()> {
    for token in void {
        sessions::delete_of_principal(tx, token.principal_id).await?;
    }
    Ok(())
}

/// Revokes the step tokens that a previous server left behind.
pub async fn revoke_step_tokens(caller: &Caller) -> Result<()> {
    let held = tokens::list_held(&mut *caller.kernel.store().read().await?, TokenKind::Step).await?;
    let left = caller.kernel.readable(held);
    for token in left {
        revoke_by_id(caller, token.id).await?;
    }
    Ok(())
}

/// Revokes the tokens of an interrupted run; returns the events to record. After the commit the caller forgets what is
/// cached ([`super::forget_cached_principals`]).
pub async fn revoke_run_tokens(tx: &mut Tx, run: RunId, at_ms: i64) -> Result<Vec<LedgerEvent>> {
    let void = tokens::revoke_run(tx, run, at_ms).await?;
    Ok(void.iter().map(|token| change(token, "revoke")).collect())
}

/// A role that a principal holds, with the name of the project it applies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role: Role,
    /// The project; `None` for the whole server.
    pub project: Option<ProjectName>,
    /// The origin of the grant.
    pub origin: GrantOrigin,
}

/// A principal with its grants and tokens.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The principal.
    pub principal: PrincipalRecord,
    /// Its grants on the server and on whole projects, oldest first.
    pub roles: Vec<HeldRole>,
    /// Its tokens, without their secrets, which are not stored.
    pub tokens: Vec<TokenRecord>,
}

/// Every principal with its grants and tokens, by name.
pub async fn list_principals(caller: &Caller) -> Result<Vec<Holder>> {
    caller.principal.require(Permission::Manage, None)?;
    let mut reader = caller.kernel.store().read().await?;
    let names: BTreeMap<ProjectId, ProjectName> =
        projects::list(&mut reader).await?.into_iter().map(|project| (project.id, project.name)).collect();
    let mut roles: HashMap<PrincipalId, Vec<HeldRole>> = HashMap::new();
    for grant in grants::list_all(&mut reader).await? {
        let Some((scope, role)) = grant.whole() else { continue };
        let project = scope.project().and_then(|id| names.get(&id).cloned());
        roles.entry(grant.principal_id).or_default().push(HeldRole { role, project, origin: grant.origin });
    }
    let mut listed = Vec::new();
    for principal in principals::list(&mut reader).await? {
        let tokens = tokens::list(&mut reader, principal.id).await?;
        let roles = roles.remove(&principal.id).unwrap_or_default();
        listed.push(Holder { principal, roles, tokens });
    }
    Ok(listed)
}
