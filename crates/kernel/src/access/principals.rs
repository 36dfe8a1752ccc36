//! Principals and their grants.

use perennial_core::entity::{Grant, PrincipalKind, PrincipalRecord, Token};
use perennial_core::id::{GrantId, PrincipalId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::permission::{Permission, Principal, Role};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Tx, grants, principals, projects, tokens};
use serde_json::json;

use crate::ledger::LedgerEvent;

/// The administrator that one-time links sign in.
pub(super) const ADMIN: &str = "admin";

/// Names that the ledger shows for the server and its parts.
const RESERVED: [&str; 4] = [ADMIN, "host", "local", "perennial"];

/// Characters of a person's name.
const NAME_CHARS_MAX: usize = 128;

/// A requested principal: its kind and its grant.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub name: String,
    pub kind: PrincipalKind,
    pub project: Option<ProjectId>,
    pub role: Role,
}

impl Wanted {
    /// A person; refuses the names that the ledger shows for the server and its parts.
    pub(super) fn person(name: &str, role: Role, project: Option<ProjectId>) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_plain) {
            let message = format!(
                "`{}` cannot be a name: expected 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_`, `-`, `+` or `@`",
                name.escape_debug()
            );
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        let is_administrator = name == ADMIN && role == Role::Admin && project.is_none();
        if !is_administrator && RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            let message = format!("the name `{name}` is reserved for the server");
            return Err(Error::new(ErrorCode::InvalidArgument, message).with_hint("choose another name"));
        }
        Ok(Self { name: name.to_owned(), kind: PrincipalKind::Person, project, role })
    }

    fn is(&self, found: &PrincipalRecord, held: &[Grant]) -> bool {
        let [only] = held else { return false };
        found.kind == self.kind
            && !found.is_disabled
            && only.project_id == self.project
            && only.role == self.role
            && only.scope_kind.is_none()
    }
}

/// The chain that records access to a project; without a project, to the server.
pub(super) fn chain_of(project: Option<ProjectId>) -> Chain {
    project.map_or(Chain::Server, Chain::Project)
}

/// The principal of a name with exactly the grant that is asked for, made when the name is free; with
/// the entries that are owed for it. One with any other grant is refused, unless that may give
/// way: see [`may_change`].
pub(super) async fn find_or_create(
    tx: &mut Tx,
    wanted: &Wanted,
    asking: &Principal,
    wall_ms: i64,
) -> Result<(PrincipalId, Vec<LedgerEvent>)> {
    if let Some(found) = principals::find_by_name(tx, &wanted.name).await? {
        // The lock serialises changes of its grants and tokens.
        principals::lock(tx, found.id).await?;
        let held = grants::list(tx, found.id).await?;
        if wanted.is(&found, &held) {
            return Ok((found.id, Vec::new()));
        }
        if !may_change(tx, wanted, &found, &held, asking, wall_ms).await? {
            return Err(taken(tx, &found, &held, asking).await?);
        }
        grants::delete_of_principal(tx, found.id).await?;
        let mut changes: Vec<LedgerEvent> = held.iter().map(|grant| change(&found.name, grant, "delete")).collect();
        changes.push(give(tx, found.id, wanted, wall_ms).await?);
        return Ok((found.id, changes));
    }
    let principal = PrincipalRecord {
        id: PrincipalId::generate(),
        name: wanted.name.clone(),
        kind: wanted.kind,
        is_disabled: false,
        created_ms: wall_ms,
    };
    principals::insert(tx, &principal).await?;
    let made = LedgerEvent {
        chain: Chain::Server,
        noun: "principal",
        subject: principal.id.to_string(),
        verb: "create",
        payload: json!({ "name": principal.name, "kind": principal.kind.as_str() }),
    };
    let given = give(tx, principal.id, wanted, wall_ms).await?;
    Ok((principal.id, vec![made, given]))
}

/// Gives a principal the requested grant; returns the event to record.
async fn give(tx: &mut Tx, principal_id: PrincipalId, wanted: &Wanted, wall_ms: i64) -> Result<LedgerEvent> {
    let grant = Grant {
        id: GrantId::generate(),
        principal_id,
        project_id: wanted.project,
        role: wanted.role,
        scope_kind: None,
        scope_id: None,
        created_ms: wall_ms,
    };
    grants::insert(tx, &grant).await?;
    Ok(change(&wanted.name, &grant, "create"))
}

fn change(name: &str, grant: &Grant, verb: &'static str) -> LedgerEvent {
    LedgerEvent {
        chain: chain_of(grant.project_id),
        noun: "grant",
        subject: grant.id.to_string(),
        verb,
        payload: json!({
            "principal": grant.principal_id, "name": name, "role": grant.role.as_str(), "project": grant.project_id,
        }),
    }
}

/// Whether a person's grants may be replaced: none of their tokens is valid any more, and the caller manages every
/// project of the grants.
async fn may_change(
    tx: &mut Tx,
    wanted: &Wanted,
    found: &PrincipalRecord,
    held: &[Grant],
    asking: &Principal,
    wall_ms: i64,
) -> Result<bool> {
    let are_people = found.kind == PrincipalKind::Person && wanted.kind == PrincipalKind::Person;
    if !are_people || found.is_disabled || !held.iter().all(|grant| asking.may(Permission::Manage, grant.project_id)) {
        return Ok(false);
    }
    let holds = |token: &Token| token.revoked_ms.is_none() && token.expires_ms.is_none_or(|end| end > wall_ms);
    Ok(!tokens::list(tx, found.id).await?.iter().any(holds))
}

/// The error for a name that exists with other grants. Its message lists the grants only when the caller may manage them.
async fn taken(tx: &mut Tx, found: &PrincipalRecord, held: &[Grant], asking: &Principal) -> Result<Error> {
    let taken = |message| Error::new(ErrorCode::AlreadyExists, message).with_hint("choose another name");
    let name = &found.name;
    if held.is_empty() || !held.iter().all(|grant| asking.may(Permission::Manage, grant.project_id)) {
        return Ok(taken(format!("the name `{name}` is taken")));
    }
    if found.is_disabled {
        return Ok(taken(format!("`{name}` is disabled")));
    }
    let mut holds = Vec::with_capacity(held.len());
    for grant in held {
        let place = match grant.project_id {
            Some(project) => format!("project `{}`", projects::get(tx, project).await?.name),
            None => "the server".to_owned(),
        };
        let part = if grant.scope_kind.is_some() { "a part of " } else { "" };
        holds.push(format!("{} on {part}{place}", grant.role.as_str()));
    }
    let holds = holds.join(" and ");
    let message = format!("`{name}` exists already, as {holds}: its tokens give exactly that");
    if found.kind != PrincipalKind::Person {
        return Ok(taken(message));
    }
    Ok(Error::new(ErrorCode::AlreadyExists, message)
        .with_hint("choose another name; or revoke every token of this one first, then it may get another role"))
}
