//! Principals: the rules for their names, and the grants that a new token gives.

use perennial_core::entity::{Grant, GrantOrigin, GrantScope, PrincipalKind, PrincipalRecord, Token};
use perennial_core::id::{GrantId, PrincipalId};
use perennial_core::ledger::Chain;
use perennial_core::permission::{Principal, Role, Scope};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, grants, principals, tokens};
use serde_json::json;

use super::grants::{describe, grant_event, manages_all, remove};
use crate::caller::HOST_NAMES;
use crate::ledger::LedgerEvent;

/// The administrator that one-time links sign in.
pub(super) const ADMIN: &str = "admin";

/// Whether the ledger shows a name for the server, its parts or its administrator.
fn is_reserved(name: &str) -> bool {
    HOST_NAMES.iter().chain(&[ADMIN]).any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Characters of a person's name.
const NAME_CHARS_MAX: usize = 128;

/// A requested principal: its kind, and what its token gives.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub name: String,
    pub kind: PrincipalKind,
    pub scope: Scope,
    /// The one role that the token gives in the scope. `None` for every grant that an existing principal holds there; a
    /// new principal becomes a viewer.
    pub role: Option<Role>,
}

impl Wanted {
    /// A person; refuses the names that the ledger shows for the server and its parts.
    pub(super) fn person(name: &str, role: Option<Role>, scope: Scope) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_plain) {
            let message = format!(
                "`{}` cannot be a name: expected 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_`, `-`, `+` or `@`",
                name.escape_debug()
            );
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        let is_administrator = name == ADMIN && role.is_none_or(|role| role == Role::Admin) && scope == Scope::Server;
        if !is_administrator && is_reserved(name) {
            let message = format!("the name `{name}` is reserved for the server");
            return Err(Error::new(ErrorCode::InvalidArgument, message).with_hint("choose another name"));
        }
        Ok(Self { name: name.to_owned(), kind: PrincipalKind::Person, scope, role })
    }

    /// The grants that a token for the scope carries. A token for a project carries the grants on the server too, limited
    /// to the project.
    fn carried<'a>(&self, held: &'a [Grant]) -> Vec<&'a Grant> {
        let applies = |held: Scope| self.scope == Scope::Server || held.covers(self.scope);
        held.iter().filter(|grant| grant.whole().is_none_or(|(scope, _)| applies(scope))).collect()
    }

    /// Whether a token may be created for a principal with these grants: it gives exactly the requested role or, without
    /// one, nothing that the caller may not give.
    fn is_given_by(&self, found: &PrincipalRecord, held: &[Grant], caller: &Principal) -> bool {
        if found.kind != self.kind || found.is_disabled {
            return false;
        }
        let carried = self.carried(held);
        match self.role {
            Some(role) => matches!(carried[..], [only] if only.whole() == Some((self.scope, role))),
            None => !carried.is_empty() && manages_all(caller, carried),
        }
    }
}

/// The chain that records access to a project or to the server.
pub(super) fn chain_of(scope: Scope) -> Chain {
    scope.project().map_or(Chain::Server, Chain::Project)
}

/// The principal of a name, for a token that gives what is requested; created when the name is free. Returns
/// the ledger events to record. A principal whose token would give anything else is refused, unless its one grant may be
/// replaced: see [`may_replace`].
pub(super) async fn find_or_create(
    tx: &mut Tx,
    wanted: &Wanted,
    caller: &Principal,
    wall_ms: i64,
) -> Result<(PrincipalId, Vec<LedgerEvent>)> {
    let Some(found) = principals::find_by_name(tx, &wanted.name).await? else {
        return create(tx, wanted, wall_ms).await;
    };
    // The lock serialises changes of its grants and tokens.
    principals::lock(tx, found.id).await?;
    let held = grants::list(tx, found.id).await?;
    if wanted.is_given_by(&found, &held, caller) {
        return Ok((found.id, Vec::new()));
    }
    if !may_replace(tx, wanted, &found, &held, caller, wall_ms).await? {
        return Err(taken(tx, &found, &held, caller).await?);
    }
    let mut changes = Vec::with_capacity(held.len() + 1);
    for grant in &held {
        changes.push(remove(tx, &found, grant).await?);
    }
    changes.push(give(tx, found.id, wanted, wall_ms).await?);
    Ok((found.id, changes))
}

/// The administrator of one-time links, who administers the server afterwards whatever grants were revoked before.
/// Returns the ledger events to record.
pub(super) async fn find_or_create_administrator(tx: &mut Tx, wall_ms: i64) -> Result<(PrincipalId, Vec<LedgerEvent>)> {
    let role = Some(Role::Admin);
    let wanted = Wanted { name: ADMIN.to_owned(), kind: PrincipalKind::Person, scope: Scope::Server, role };
    let Some(found) = principals::find_by_name(tx, ADMIN).await? else {
        return create(tx, &wanted, wall_ms).await;
    };
    principals::lock(tx, found.id).await?;
    if found.is_disabled {
        return Err(Error::new(ErrorCode::AlreadyExists, format!("`{ADMIN}` is disabled")));
    }
    let held = grants::list(tx, found.id).await?;
    if held.iter().any(|grant| grant.whole() == Some((Scope::Server, Role::Admin))) {
        return Ok((found.id, Vec::new()));
    }
    Ok((found.id, vec![give(tx, found.id, &wanted, wall_ms).await?]))
}

async fn create(tx: &mut Tx, wanted: &Wanted, wall_ms: i64) -> Result<(PrincipalId, Vec<LedgerEvent>)> {
    let principal = PrincipalRecord {
        id: PrincipalId::generate(),
        name: wanted.name.clone(),
        kind: wanted.kind,
        is_disabled: false,
        created_ms: wall_ms,
    };
    principals::insert(tx, &principal).await?;
    let created = LedgerEvent {
        chain: Chain::Server,
        noun: "principal",
        subject: principal.id.to_string(),
        verb: "create",
        payload: json!({ "name": principal.name, "kind": principal.kind.as_str() }),
    };
    let given = give(tx, principal.id, wanted, wall_ms).await?;
    Ok((principal.id, vec![created, given]))
}

/// Gives a principal the requested grant; returns the event to record.
async fn give(tx: &mut Tx, principal_id: PrincipalId, wanted: &Wanted, wall_ms: i64) -> Result<LedgerEvent> {
    let grant = Grant {
        id: GrantId::generate(),
        principal_id,
        role: wanted.role.unwrap_or(Role::Viewer),
        scope: GrantScope::Whole(wanted.scope),
        origin: GrantOrigin::Direct,
        created_ms: wall_ms,
    };
    grants::insert(tx, &grant).await?;
    Ok(grant_event(&wanted.name, &grant, "create"))
}

/// Whether a person's only grant may be replaced: none of the person's tokens is valid any more, and the caller manages
/// the scope of the grant. Several grants are never replaced, they are granted and revoked one by one.
async fn may_replace(
    tx: &mut Tx,
    wanted: &Wanted,
    found: &PrincipalRecord,
    held: &[Grant],
    caller: &Principal,
    wall_ms: i64,
) -> Result<bool> {
    let are_people = found.kind == PrincipalKind::Person && wanted.kind == PrincipalKind::Person;
    let is_replaceable =
        wanted.role.is_some() && held.len() <= 1 && held.iter().all(|grant| grant.origin == GrantOrigin::Direct);
    if !are_people || found.is_disabled || !is_replaceable || !manages_all(caller, held) {
        return Ok(false);
    }
    let is_valid = |token: &Token| token.revoked_ms.is_none() && token.expires_ms.is_none_or(|end| end > wall_ms);
    Ok(!tokens::list(tx, found.id).await?.iter().any(is_valid))
}

/// The error for a name that exists with other grants. Its message lists the grants only when the caller may manage them.
async fn taken(tx: &mut Tx, found: &PrincipalRecord, held: &[Grant], caller: &Principal) -> Result<Error> {
    let taken = |message| Error::new(ErrorCode::AlreadyExists, message).with_hint("choose another name");
    let name = &found.name;
    if held.is_empty() || !manages_all(caller, held) {
        return Ok(taken(format!("the name `{name}` is taken")));
    }
    if found.is_disabled {
        return Ok(taken(format!("`{name}` is disabled")));
    }
    let mut descriptions = Vec::with_capacity(held.len());
    for grant in held {
        descriptions.push(describe(tx, grant).await?);
    }
    let message = format!("`{name}` exists already, as {}: its tokens give exactly that", descriptions.join(" and "));
    if found.kind != PrincipalKind::Person {
        return Ok(taken(message));
    }
    Ok(Error::new(ErrorCode::AlreadyExists, message).with_hint(
        "choose another name; or create the token without a role, it gives what the name holds; \
         `perennial principals grant` and `revoke` change that",
    ))
}
