//! Access: principals, tokens, sessions, one-time links.
//!
//! A principal has one grant, the one it was last asked for with. A token gives that and nothing else; who
//! asks for one has to manage where it holds. Each of them, made or taken back, is told by the ledger.

mod known;
mod principals;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial_core::id::PrincipalId;
use perennial_core::ledger::Chain;
use perennial_core::permission::{Permission, Principal, Role};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::principals::{PrincipalKind, load};
use perennial_store::sessions::{self, Session};
use perennial_store::tokens as token_rows;
use rand::RngCore;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::{App, Caller};
use crate::ledger::{By, Change};

pub use known::{Known, TRUST};
pub use perennial_store::principals::PrincipalRecord as PrincipalKept;
pub use perennial_store::tokens::Token as TokenKept;
pub use tokens::{Holder, NewToken, create_person_token, host_token, list_tokens, revoke, revoke_token, step_token};
pub(crate) use tokens::{void_of_run, void_of_steps};

/// Counts what took access away in this process, so that what [`Known`] remembers from before is forgotten.
static REVOCATIONS: AtomicU64 = AtomicU64::new(0);

/// How long a one-time administrator link can be used.
const ADMIN_LINK_MS: i64 = 24 * 3_600_000;
/// How long a browser session lives.
const SESSION_MS: i64 = 12 * 3_600_000;
/// Digits of a link's hash by which the ledger names it.
const LINK_DIGITS: usize = 16;

/// A browser session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// Who.
    pub principal: Principal,
    /// What each form of this session carries.
    pub csrf_token: String,
}

/// A step's token reads its project; what it writes goes through the routes of its own run.
pub fn own_run_only(principal: &Principal, permission: Permission) -> Result<()> {
    if principal.run.is_none() || permission == Permission::Read {
        return Ok(());
    }
    let message = "a step's token reads its project and writes its own run, nothing else";
    Err(Error::new(ErrorCode::PermissionDenied, message).hint("do this outside the step, with a token of your own"))
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
    let found = token_rows::authenticate(&mut *app.store().read().await?, &hash(secret), now).await?;
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
    let principal = load(&mut reader, found.principal_id).await?;
    Ok(Some(SessionCaller { principal, csrf_token: found.csrf_token }))
}

/// The secret of a one-time administrator link that the server prints when it starts.
pub async fn admin_link(app: &Arc<App>) -> Result<String> {
    login_link(&Caller::system(app.clone(), "start")).await
}

/// The secret of a one-time administrator link.
pub async fn login_link(caller: &Caller) -> Result<String> {
    caller.principal.require(Permission::Manage, None)?;
    let link = secret();
    let (by, kept) = (By::new(caller, None).await?, hash(&link));
    let (now, expires_ms) = (by.at.wall_ms, by.at.wall_ms + ADMIN_LINK_MS);
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                token_rows::insert_admin_link(tx, &kept, now, expires_ms).await?;
                by.record(tx, link_change(&kept, "create", json!({ "expires_ms": expires_ms }))).await
            })
        })
        .await?;
    Ok(link)
}

/// Turns a one-time link into a session cookie; a second time it is refused.
pub async fn use_admin_link(app: &Arc<App>, link: &str) -> Result<String> {
    let server = Caller::system(app.clone(), "login_link");
    let by = By { actor: principals::ADMIN.to_owned(), ..By::new(&server, None).await? };
    let (kept, now) = (hash(link), by.at.wall_ms);
    let wanted = principals::Wanted {
        name: principals::ADMIN.to_owned(),
        kind: PrincipalKind::Person,
        project: None,
        role: Role::Admin,
    };
    let cookie = secret();
    let cookie_hash = hash(&cookie);
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                if !token_rows::use_admin_link(tx, &kept, now).await? {
                    let message = "this link was used before or has expired";
                    return Err(
                        Error::new(ErrorCode::Unauthenticated, message).hint("`perennial login-link` prints another")
                    );
                }
                let (principal_id, changes) = principals::find_or_create(tx, &wanted, &server.principal, now).await?;
                sessions::insert(tx, &new_session(cookie_hash, principal_id, now)).await?;
                for change in changes {
                    by.record(tx, change).await?;
                }
                by.record(tx, link_change(&kept, "use", json!({ "principal": principal_id }))).await
            })
        })
        .await?;
    Ok(cookie)
}

fn link_change(kept: &str, verb: &'static str, payload: serde_json::Value) -> Change {
    Change { chain: Chain::Server, noun: "login_link", subject: kept[..LINK_DIGITS].to_owned(), verb, payload }
}

/// Turns a token into a session cookie. A session is its principal's, so a token that gives less begins none.
pub async fn log_in(app: &Arc<App>, token: &str) -> Result<String> {
    let given = authenticate(app, token).await?;
    let whole = load(&mut *app.store().read().await?, given.id).await?;
    if given != whole {
        let message = "this token gives less than a browser session would";
        return Err(Error::new(ErrorCode::PermissionDenied, message)
            .hint("sign in with a token made by `perennial tokens create`; a step's token is for its step"));
    }
    let cookie = secret();
    let session = new_session(hash(&cookie), whole.id, app.services.clock.wall_ms());
    app.store().write(move |tx| Box::pin(async move { Ok(sessions::insert(tx, &session).await?) })).await?;
    Ok(cookie)
}

/// Ends a session.
pub async fn log_out(app: &Arc<App>, cookie: &str) -> Result<()> {
    let kept = hash(cookie);
    app.store().write(move |tx| Box::pin(async move { Ok(sessions::delete(tx, &kept).await?) })).await
}

fn new_session(secret_hash: String, principal_id: PrincipalId, now_ms: i64) -> Session {
    Session { secret_hash, principal_id, csrf_token: secret(), created_ms: now_ms, expires_ms: now_ms + SESSION_MS }
}
