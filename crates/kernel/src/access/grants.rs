//! Granting and revoking roles. A principal holds any number of grants; its permissions are their union.
//!
//! A grant is given and revoked by a caller who manages its scope. The ledger records each change in the chain of the
//! scope. The last administrator of the server keeps that role.

use perennial_core::entity::{Grant, GrantOrigin, GrantScope, PrincipalKind, PrincipalRecord};
use perennial_core::id::{GrantId, PrincipalId};
use perennial_core::permission::{Grants, Permission, Principal, Role, Scope};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Conn, Tx, grants, principals, projects};
use serde_json::json;

use super::forget_cached_principals;
use super::principals::chain_of;
use crate::ledger::{LedgerEvent, Recorder};
use crate::{Caller, wrong_state};

/// Gives a principal a role in a scope, in addition to the grants that it holds. Returns false when it holds that grant
/// already. Its valid tokens that are not limited to another project give the role at once.
pub async fn grant(caller: &Caller, name: &str, role: Role, scope: Scope) -> Result<bool> {
    caller.principal.require(Permission::Manage, scope)?;
    let by = Recorder::new(caller, scope.project()).await?;
    let (name, now) = (name.to_owned(), by.at.wall_ms);
    let is_new = caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let found = holder(tx, &name).await?;
                if found.is_disabled {
                    return Err(wrong_state(format!("`{name}` is disabled")));
                }
                if find_direct(tx, &found, role, scope).await?.is_some() {
                    return Ok(false);
                }
                let change = insert(tx, &found, (scope, role), GrantOrigin::Direct, now).await?;
                by.record(tx, change).await?;
                Ok(true)
            })
        })
        .await?;
    forget_cached_principals();
    Ok(is_new)
}

/// Revokes a role of a principal in a scope. Its other grants, tokens and sessions stay, with the permissions that are
/// left. Returns NotFound when it does not hold the grant.
pub async fn revoke_grant(caller: &Caller, name: &str, role: Role, scope: Scope) -> Result<()> {
    caller.principal.require(Permission::Manage, scope)?;
    let by = Recorder::new(caller, scope.project()).await?;
    let name = name.to_owned();
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let found = holder(tx, &name).await?;
                let Some(grant) = find_direct(tx, &found, role, scope).await? else {
                    return Err(not_held(tx, &found, role, scope).await?);
                };
                let change = remove(tx, &found, &grant).await?;
                by.record(tx, change).await
            })
        })
        .await?;
    forget_cached_principals();
    Ok(())
}

/// Makes the grants of origin `directory` of a principal equal to `grants`, and leaves its direct grants alone: the
/// entry point for an identity provider, which derives the grants from the principal's groups at each sign-in.
pub async fn set_directory_grants(caller: &Caller, principal: PrincipalId, wanted: &Grants) -> Result<()> {
    caller.principal.require(Permission::Manage, None)?;
    let by = Recorder::new(caller, None).await?;
    let (wanted, now) = (wanted.clone(), by.at.wall_ms);
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                principals::lock(tx, principal).await?;
                let found = principals::get(tx, principal).await?;
                let mut held = grants::list(tx, principal).await?;
                held.retain(|grant| grant.origin == GrantOrigin::Directory);
                let missing = wanted.iter().filter(|grant| !held.iter().any(|held| held.whole() == Some(*grant)));
                let mut changes = Vec::new();
                for grant in missing {
                    changes.push(insert(tx, &found, grant, GrantOrigin::Directory, now).await?);
                }
                let is_wanted =
                    |held: &Grant| held.whole().is_some_and(|held| wanted.iter().any(|grant| grant == held));
                for grant in held.iter().filter(|held| !is_wanted(held)) {
                    changes.push(remove(tx, &found, grant).await?);
                }
                by.record_all(tx, changes).await
            })
        })
        .await?;
    forget_cached_principals();
    Ok(())
}

/// Whether the caller manages the scope of every grant.
pub(super) fn manages_all<'a>(caller: &Principal, held: impl IntoIterator<Item = &'a Grant>) -> bool {
    held.into_iter().all(|grant| caller.may(Permission::Manage, grant.scope.project_id()))
}

/// A grant in words, such as "contributor on project `flights`".
pub(super) async fn describe(conn: &mut Conn, grant: &Grant) -> Result<String> {
    let place = match grant.scope.project_id() {
        Some(project) => format!("project `{}`", projects::get(conn, project).await?.name),
        None => "the server".to_owned(),
    };
    let part = if grant.whole().is_none() { "a part of " } else { "" };
    Ok(format!("{} on {part}{place}", grant.role.as_str()))
}

/// Deletes a grant; returns the event to record. Refuses when the server would have no administrator afterwards.
pub(super) async fn remove(tx: &mut Tx, of: &PrincipalRecord, grant: &Grant) -> Result<LedgerEvent> {
    let gives_server = grant.whole() == Some((Scope::Server, Role::Admin));
    let before = if gives_server { grants::count_server_administrators(tx).await? } else { 0 };
    grants::delete(tx, grant.id).await?;
    if before > 0 && grants::count_server_administrators(tx).await? == 0 {
        return Err(wrong_state(format!("`{}` is the last administrator of the server", of.name))
            .with_hint("grant the role to another person first: `perennial principals grant NAME --role admin`"));
    }
    Ok(grant_event(&of.name, grant, "delete"))
}

/// The ledger event about a grant.
pub(super) fn grant_event(name: &str, grant: &Grant, verb: &'static str) -> LedgerEvent {
    let project = grant.scope.project_id();
    let mut payload =
        json!({ "principal": grant.principal_id, "name": name, "role": grant.role.as_str(), "project": project });
    if grant.origin != GrantOrigin::Direct {
        payload["origin"] = json!(grant.origin);
    }
    LedgerEvent { chain: chain_of(project.into()), noun: "grant", subject: grant.id.to_string(), verb, payload }
}

async fn insert(
    tx: &mut Tx,
    of: &PrincipalRecord,
    (scope, role): (Scope, Role),
    origin: GrantOrigin,
    now_ms: i64,
) -> Result<LedgerEvent> {
    let grant = Grant {
        id: GrantId::generate(),
        principal_id: of.id,
        role,
        scope: GrantScope::Whole(scope),
        origin,
        created_ms: now_ms,
    };
    grants::insert(tx, &grant).await?;
    Ok(grant_event(&of.name, &grant, "create"))
}

/// The person or service of a name, locked. The grants of hosts and steps belong to the server.
async fn holder(tx: &mut Tx, name: &str) -> Result<PrincipalRecord> {
    let Some(found) = principals::find_by_name(tx, name).await? else {
        return Err(Error::not_found("principal", name.escape_debug())
            .with_hint("`perennial tokens create NAME` creates one with its first token"));
    };
    if !matches!(found.kind, PrincipalKind::Person | PrincipalKind::Service) {
        return Err(wrong_state(format!("the grants of `{name}` belong to the server and cannot be changed")));
    }
    principals::lock(tx, found.id).await?;
    Ok(found)
}

async fn find_direct(conn: &mut Conn, of: &PrincipalRecord, role: Role, scope: Scope) -> Result<Option<Grant>> {
    let held = grants::list(conn, of.id).await?;
    Ok(held.into_iter().find(|grant| grant.origin == GrantOrigin::Direct && grant.whole() == Some((scope, role))))
}

/// The error for revoking a grant that the principal does not hold, or that an identity provider gives.
async fn not_held(conn: &mut Conn, of: &PrincipalRecord, role: Role, scope: Scope) -> Result<Error> {
    let held = grants::list(conn, of.id).await?;
    if held.iter().any(|grant| grant.whole() == Some((scope, role))) {
        let message = format!("`{}` holds this role through a group of the identity provider", of.name);
        return Ok(wrong_state(message).with_hint("remove it from the group there"));
    }
    let place = match scope {
        Scope::Server => "the server".to_owned(),
        Scope::Project(id) => format!("project `{}`", projects::get(conn, id).await?.name),
    };
    let message = format!("`{}` does not hold the role `{}` on {place}", of.name, role.as_str());
    Ok(Error::new(ErrorCode::NotFound, message).with_hint("`perennial principals list` shows the grants of each name"))
}
