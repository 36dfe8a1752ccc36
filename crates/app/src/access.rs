//! Access: principals, tokens, sessions, one-time links.

mod known;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial_core::id::{GrantId, PrincipalId, ProjectId, RunId, TokenId};
use perennial_core::name::StepName;
use perennial_core::permission::{Permission, Principal, Role};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::grants::Grant;
use perennial_store::principals::{PrincipalKind, PrincipalRecord};
use perennial_store::sessions::Session;
use perennial_store::tokens::{Token, TokenKind};
use perennial_store::{grants, principals, sessions, tokens};
use rand::RngCore;
use sha2::{Digest, Sha256};

use crate::app::{App, Caller};
use crate::project::ProjectState;

pub use known::{Known, TRUST};
pub use perennial_store::principals::PrincipalRecord as PrincipalKept;
pub use perennial_store::tokens::Token as TokenKept;

/// Counts what took access away in this process, so that what [`Known`] remembers from before is forgotten.
static REVOCATIONS: AtomicU64 = AtomicU64::new(0);

/// How long a step's token lives at most: longer than any step, and revoked when the step ends.
const STEP_TOKEN_MS: i64 = 7 * 24 * 3_600_000;
/// How long a one-time administrator link can be used.
const ADMIN_LINK_MS: i64 = 24 * 3_600_000;
/// How long a browser session lives.
const SESSION_MS: i64 = 12 * 3_600_000;

/// A token just made. The secret is shown once; only its hash is kept.
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// What a client sends as Bearer.
    pub secret: String,
}

/// A browser session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// Who.
    pub principal: Principal,
    /// What each form of this session carries.
    pub csrf_token: String,
}

fn revocations() -> u64 {
    REVOCATIONS.load(Ordering::Acquire)
}

fn revoked() {
    REVOCATIONS.fetch_add(1, Ordering::AcqRel);
}

/// 32 random bytes as text, with a prefix that secret scanners can know.
fn secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("prn_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret.
fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Who a Bearer or Basic secret belongs to.
pub async fn authenticate(app: &Arc<App>, secret: &str) -> Result<Principal> {
    let now = app.services.clock.wall_ms();
    let found = tokens::authenticate(&mut *app.store().read().await?, &hash(secret), now).await?;
    found.map(|caller| caller.principal).ok_or_else(|| {
        Error::new(ErrorCode::Unauthenticated, "the token is not known, has expired or was revoked")
            .hint("`perennial tokens create` makes one")
    })
}

/// Who a session cookie belongs to.
pub async fn session(app: &Arc<App>, cookie: &str) -> Result<Option<SessionCaller>> {
    let mut reader = app.store().read().await?;
    let Some(found) = sessions::find(&mut reader, &hash(cookie), app.services.clock.wall_ms()).await? else {
        return Ok(None);
    };
    let principal = principals::load(&mut reader, found.principal_id).await?;
    Ok(Some(SessionCaller { principal, csrf_token: found.csrf_token }))
}

/// Mints the host token of this start: void when the host ends, and every one before it.
pub async fn host_token(app: &Arc<App>) -> Result<NewToken> {
    let now = app.services.clock.wall_ms();
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                tokens::revoke_kind(tx, TokenKind::Host, now).await?;
                Ok(())
            })
        })
        .await?;
    revoked();
    let principal = find_or_create(app, "host", PrincipalKind::Host, &[(None, Role::Admin)]).await?;
    create_token(app, principal, TokenKind::Host, "host", None, None, None).await
}

/// A short-lived token of a step: it reads its project and writes its run, child runs and their models.
pub async fn step_token(caller: &Caller, project: &ProjectState, step: &StepName, run: RunId) -> Result<NewToken> {
    let app = &caller.app;
    let name = format!("step:{}/{step}", project.name);
    let principal = find_or_create(app, &name, PrincipalKind::Step, &[(Some(project.id), Role::Contributor)]).await?;
    let expires = app.services.clock.wall_ms() + STEP_TOKEN_MS;
    create_token(app, principal, TokenKind::Step, &name, Some(project.id), Some(run), Some(expires)).await
}

/// Makes a token void.
pub async fn revoke(caller: &Caller, token: &NewToken) -> Result<()> {
    let (id, now) = (token.id, caller.app.services.clock.wall_ms());
    caller.app.store().write(move |tx| Box::pin(async move { Ok(tokens::revoke(tx, id, now).await?) })).await?;
    revoked();
    Ok(())
}

/// Every principal with its tokens, by name. Secrets are not kept, so none is told.
pub async fn list_tokens(caller: &Caller) -> Result<Vec<(PrincipalKept, Vec<TokenKept>)>> {
    caller.principal.require(Permission::Manage, None)?;
    let mut reader = caller.app.store().read().await?;
    let mut listed = Vec::new();
    for principal in principals::list(&mut reader).await? {
        let tokens = tokens::list(&mut reader, principal.id).await?;
        listed.push((principal, tokens));
    }
    Ok(listed)
}

/// Makes the token of an id void, because an administrator says so.
pub async fn revoke_token(caller: &Caller, id: TokenId) -> Result<()> {
    caller.principal.require(Permission::Manage, None)?;
    let now = caller.app.services.clock.wall_ms();
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                tokens::get(tx, id).await?;
                Ok(tokens::revoke(tx, id, now).await?)
            })
        })
        .await?;
    revoked();
    Ok(())
}

/// A token for a person, with a role on the whole server or one project.
pub async fn create_person_token(
    caller: &Caller,
    name: &str,
    role: Role,
    project: Option<ProjectId>,
) -> Result<NewToken> {
    caller.principal.require(Permission::Manage, project)?;
    let principal = find_or_create(&caller.app, name, PrincipalKind::Person, &[(project, role)]).await?;
    create_token(&caller.app, principal, TokenKind::Person, name, project, None, None).await
}

/// The secret of a one-time administrator link.
pub async fn admin_link(app: &Arc<App>) -> Result<String> {
    let link = secret();
    let (kept, now) = (hash(&link), app.services.clock.wall_ms());
    app.store()
        .write(move |tx| {
            Box::pin(async move { Ok(tokens::insert_admin_link(tx, &kept, now, now + ADMIN_LINK_MS).await?) })
        })
        .await?;
    Ok(link)
}

/// Turns a one-time link into a session cookie; a second time it is refused.
pub async fn use_admin_link(app: &Arc<App>, link: &str) -> Result<String> {
    let (kept, now) = (hash(link), app.services.clock.wall_ms());
    let used =
        app.store().write(move |tx| Box::pin(async move { Ok(tokens::use_admin_link(tx, &kept, now).await?) })).await?;
    if !used {
        return Err(Error::new(ErrorCode::Unauthenticated, "this link was used before or has expired")
            .hint("`perennial login-link` prints another"));
    }
    let principal = find_or_create(app, "admin", PrincipalKind::Person, &[(None, Role::Admin)]).await?;
    start_session(app, principal).await
}

/// Turns a token into a session cookie.
pub async fn log_in(app: &Arc<App>, token: &str) -> Result<String> {
    let principal = authenticate(app, token).await?;
    start_session(app, principal.id).await
}

/// Ends a session.
pub async fn log_out(app: &Arc<App>, cookie: &str) -> Result<()> {
    let kept = hash(cookie);
    app.store().write(move |tx| Box::pin(async move { Ok(sessions::delete(tx, &kept).await?) })).await
}

async fn start_session(app: &Arc<App>, principal_id: PrincipalId) -> Result<String> {
    let cookie = secret();
    let now = app.services.clock.wall_ms();
    let session = Session {
        secret_hash: hash(&cookie),
        principal_id,
        csrf_token: secret(),
        created_ms: now,
        expires_ms: now + SESSION_MS,
    };
    app.store().write(move |tx| Box::pin(async move { Ok(sessions::insert(tx, &session).await?) })).await?;
    Ok(cookie)
}

async fn find_or_create(
    app: &Arc<App>,
    name: &str,
    kind: PrincipalKind,
    roles: &[(Option<ProjectId>, Role)],
) -> Result<PrincipalId> {
    if let Some(found) = principals::find_by_name(&mut *app.store().read().await?, name).await? {
        return Ok(found.id);
    }
    let now = app.services.clock.wall_ms();
    let principal = PrincipalRecord {
        id: PrincipalId::generate(),
        name: name.to_owned(),
        kind,
        is_disabled: false,
        created_ms: now,
    };
    let given: Vec<Grant> = roles
        .iter()
        .map(|(project_id, role)| Grant {
            id: GrantId::generate(),
            principal_id: principal.id,
            project_id: *project_id,
            role: *role,
            scope_kind: None,
            scope_id: None,
            created_ms: now,
        })
        .collect();
    let id = principal.id;
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                principals::insert(tx, &principal).await?;
                for grant in &given {
                    grants::insert(tx, grant).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(id)
}

async fn create_token(
    app: &Arc<App>,
    principal_id: PrincipalId,
    kind: TokenKind,
    name: &str,
    project_id: Option<ProjectId>,
    run_id: Option<RunId>,
    expires_ms: Option<i64>,
) -> Result<NewToken> {
    let secret = secret();
    let token = Token {
        id: TokenId::generate(),
        principal_id,
        secret_hash: hash(&secret),
        kind,
        name: name.to_owned(),
        project_id,
        run_id,
        created_ms: app.services.clock.wall_ms(),
        expires_ms,
        revoked_ms: None,
    };
    let id = token.id;
    app.store().write(move |tx| Box::pin(async move { Ok(tokens::insert(tx, &token).await?) })).await?;
    Ok(NewToken { id, secret })
}
