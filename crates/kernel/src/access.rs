//! Access: principals, tokens, sessions, one-time links.
//!
//! A principal holds any number of grants, and a token carries them; one that is limited to a project carries those that
//! apply there. Creating a token or a grant needs the permission to manage where it is valid. The ledger records every
//! grant and token, created or revoked.

mod grants;
mod principals;
mod token_cache;
mod tokens;

use perennial_core::entity::Session;
pub use perennial_core::entity::{PrincipalRecord, Token as TokenRecord};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial_core::id::PrincipalId;
use perennial_core::ledger::Chain;
use perennial_core::permission::{Permission, Principal};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::principals::load;
use perennial_store::sessions;
use perennial_store::tokens as token_rows;
use rand::RngCore;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ledger::{LedgerEvent, Recorder};
use crate::{Caller, Kernel};

pub use grants::{grant, revoke_grant, set_directory_grants};
pub use token_cache::{TRUST, TokenCache};
pub use tokens::{
    HeldRole, Holder, NewToken, create_held_token, create_person_token, host, list_principals, revoke,
    revoke_run_tokens, revoke_step_tokens, revoke_token, step_token,
};

/// Counts changes of tokens and grants in this process; each makes the earlier entries of [`TokenCache`] invalid.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How long a one-time administrator link can be used.
const ADMIN_LINK_MS: i64 = 24 * 3_600_000;
/// How long a browser session lives.
const SESSION_MS: i64 = 12 * 3_600_000;
/// Digits of a link's hash that identify it in the ledger.
const LINK_DIGITS: usize = 16;

/// A browser session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// The principal.
    pub principal: Principal,
    /// The CSRF token that each form of this session sends.
    pub csrf_token: String,
}

/// Refuses writes by a step's token: it reads its project, and writes only through the routes of its own run.
pub fn own_run_only(principal: &Principal, permission: Permission) -> Result<()> {
    if principal.run.is_none() || permission == Permission::Read {
        return Ok(());
    }
    let message = "a step's token reads its project and writes its own run, nothing else";
    Err(Error::new(ErrorCode::PermissionDenied, message)
        .with_hint("do this outside the step, with a token of your own"))
}

fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// Forgets every cached principal. Called after the commit of each change of tokens or grants.
pub fn forget_cached_principals() {
    CHANGES.fetch_add(1, Ordering::AcqRel);
}

/// 32 random bytes as text, with a prefix that secret scanners recognise.
fn secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("prn_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The stored hash of a secret.
fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// The principal of a Bearer or Basic secret.
pub async fn authenticate(kernel: &Arc<Kernel>, secret: &str) -> Result<Principal> {
    let now = kernel.services.clock.wall_ms();
    let found = token_rows::authenticate(&mut *kernel.store().read().await?, &hash(secret), now).await?;
    found.map(|caller| caller.principal).ok_or_else(|| {
        Error::new(ErrorCode::Unauthenticated, "the token is unknown, expired or revoked")
            .with_hint("`perennial tokens create` makes one")
    })
}

/// The session of a cookie, if it is valid.
pub async fn session(kernel: &Arc<Kernel>, cookie: &str) -> Result<Option<SessionCaller>> {
    let mut reader = kernel.store().read().await?;
    let Some(found) = sessions::find(&mut reader, &hash(cookie), kernel.services.clock.wall_ms()).await? else {
        return Ok(None);
    };
    let principal = load(&mut reader, found.principal_id).await?;
    Ok(Some(SessionCaller { principal, csrf_token: found.csrf_token }))
}

/// The secret of a one-time administrator link that the server prints when it starts. The next start voids it.
pub async fn admin_link(kernel: &Arc<Kernel>) -> Result<String> {
    login_link(&Caller::system(kernel.clone(), "start")).await
}

/// The secret of a one-time administrator link. It is void when it was used, after a day, and at the next start of a server.
pub async fn login_link(caller: &Caller) -> Result<String> {
    caller.principal.require(Permission::Manage, None)?;
    let link = secret();
    let (by, kept) = (Recorder::new(caller, None).await?, hash(&link));
    let (now, expires_ms) = (by.at.wall_ms, by.at.wall_ms + ADMIN_LINK_MS);
    caller
        .kernel
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

/// Exchanges a one-time link for a session cookie; a second use is refused.
pub async fn use_admin_link(kernel: &Arc<Kernel>, link: &str) -> Result<String> {
    let server = Caller::system(kernel.clone(), "login_link");
    let by = Recorder { actor: principals::ADMIN.to_owned(), ..Recorder::new(&server, None).await? };
    let (kept, now) = (hash(link), by.at.wall_ms);
    let cookie = secret();
    let cookie_hash = hash(&cookie);
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if !token_rows::use_admin_link(tx, &kept, now).await? {
                    let message = "this link was already used or has expired";
                    return Err(Error::new(ErrorCode::Unauthenticated, message)
                        .with_hint("`perennial login-link` prints a new one"));
                }
                let (principal_id, changes) = principals::find_or_create_administrator(tx, now).await?;
                sessions::insert(tx, &new_session(cookie_hash, principal_id, now)).await?;
                by.record_all(tx, changes).await?;
                by.record(tx, link_change(&kept, "use", json!({ "principal": principal_id }))).await
            })
        })
        .await?;
    Ok(cookie)
}

fn link_change(kept: &str, verb: &'static str, payload: serde_json::Value) -> LedgerEvent {
    LedgerEvent { chain: Chain::Server, noun: "login_link", subject: kept[..LINK_DIGITS].to_owned(), verb, payload }
}

/// Exchanges a token for a session cookie. A session has all grants of its principal, so a token with fewer is refused.
pub async fn log_in(kernel: &Arc<Kernel>, token: &str) -> Result<String> {
    let given = authenticate(kernel, token).await?;
    let whole = load(&mut *kernel.store().read().await?, given.id).await?;
    if given != whole {
        let message = "this token gives less than a browser session would";
        return Err(Error::new(ErrorCode::PermissionDenied, message)
            .with_hint("sign in with a token made by `perennial tokens create`; a step's token is for its step"));
    }
    let cookie = secret();
    let session = new_session(hash(&cookie), whole.id, kernel.services.clock.wall_ms());
    kernel.store().write(move |tx| Box::pin(async move { Ok(sessions::insert(tx, &session).await?) })).await?;
    Ok(cookie)
}

/// Ends a session.
pub async fn log_out(kernel: &Arc<Kernel>, cookie: &str) -> Result<()> {
    let kept = hash(cookie);
    kernel.store().write(move |tx| Box::pin(async move { Ok(sessions::delete(tx, &kept).await?) })).await
}

fn new_session(secret_hash: String, principal_id: PrincipalId, now_ms: i64) -> Session {
    Session { secret_hash, principal_id, csrf_token: secret(), created_ms: now_ms, expires_ms: now_ms + SESSION_MS }
}
