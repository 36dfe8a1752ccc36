//! Authentication: which principal makes a request, and by which credential.

use std::sync::Arc;

use axum_extra::extract::CookieJar;
use headers::HeaderMapExt;
use headers::authorization::{Authorization, Basic, Bearer};
use http::request::Parts;
use http::{HeaderMap, header};
use perennial_core::permission::Principal;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::access::session;
use perennial_kernel::{Caller, Kernel};

use crate::host::HostPeer;
use crate::perimeter::Perimeter;
use crate::server::PeerAddr;
use crate::session_cookie::SESSION_COOKIE;

/// The credentials that a surface accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// A token as Bearer or as password of Basic, else a session cookie.
    TokenOrSession,
    /// A session cookie alone.
    Session,
}

/// The kind of credential that a request was authenticated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token,
    /// A session cookie.
    Session,
    /// None: authentication is off and the peer is on this machine.
    Local,
    /// None: the peer is a process of the server's own user, at its Unix socket.
    Host,
}

/// The principal that makes a request.
#[derive(Clone)]
pub struct Identity {
    /// The principal.
    pub principal: Arc<Principal>,
    /// How it was authenticated.
    pub credential: Credential,
    /// The CSRF token that a change has to carry; `None` where the credential is not one that browsers attach by
    /// themselves.
    pub csrf_token: Option<Arc<str>>,
    kernel: Arc<Kernel>,
}

impl Identity {
    /// The caller, as use cases take it.
    pub fn caller(&self) -> Caller {
        Caller::new(self.kernel.clone(), Principal::clone(&self.principal))
    }
}

/// The principal of a request; `None` without credentials.
///
/// # Errors
/// When credentials are malformed, unknown, expired or revoked.
pub(crate) async fn authenticate(
    perimeter: &Perimeter,
    accepted: Credentials,
    parts: &Parts,
) -> Result<Option<Identity>> {
    let kernel = &perimeter.app().kernel;
    if parts.extensions.get::<HostPeer>().is_some()
        && !parts.headers.contains_key(header::AUTHORIZATION)
        && let Some(principal) = perimeter.host_principal()
    {
        let csrf_token = (accepted == Credentials::Session).then(|| perimeter.local_csrf_token().clone());
        let (principal, credential) = (principal.clone(), Credential::Host);
        return Ok(Some(Identity { principal, credential, csrf_token, kernel: kernel.clone() }));
    }
    if !perimeter.options().auth {
        let principal = local(perimeter, parts)?;
        let csrf_token = (accepted == Credentials::Session).then(|| perimeter.local_csrf_token().clone());
        return Ok(Some(Identity { principal, credential: Credential::Local, csrf_token, kernel: kernel.clone() }));
    }
    if accepted == Credentials::TokenOrSession
        && let Some(secret) = token(&parts.headers)?
    {
        let principal = perimeter.tokens().authenticate(kernel, &secret).await?;
        return Ok(Some(Identity {
            principal,
            credential: Credential::Token,
            csrf_token: None,
            kernel: kernel.clone(),
        }));
    }
    let cookies = CookieJar::from_headers(&parts.headers);
    let Some(cookie) = cookies.get(SESSION_COOKIE) else { return Ok(None) };
    Ok(session(kernel, cookie.value()).await?.map(|session| Identity {
        principal: Arc::new(session.principal),
        credential: Credential::Session,
        csrf_token: Some(session.csrf_token.into()),
        kernel: kernel.clone(),
    }))
}

/// The error of a request without credentials.
pub(crate) fn missing_credentials() -> Error {
    Error::new(ErrorCode::Unauthenticated, "this needs a token or a session").with_hint(
        "send `Authorization: Bearer <token>`; `perennial tokens create` creates one, `perennial login-link` signs a \
         browser in",
    )
}

/// The principal of peers on this machine, while authentication is off.
fn local(perimeter: &Perimeter, parts: &Parts) -> Result<Arc<Principal>> {
    match parts.extensions.get::<PeerAddr>() {
        Some(peer) if peer.0.ip().to_canonical().is_loopback() => Ok(perimeter.local_principal().clone()),
        _ => Err(Error::new(
            ErrorCode::Unauthenticated,
            "while authentication is off, only clients on the server's own machine are allowed",
        )
        .with_hint("start the server with `--auth on`")),
    }
}

/// The token of a Bearer header, or the password of a Basic one.
fn token(headers: &HeaderMap) -> Result<Option<String>> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    if let Some(bearer) = headers.typed_get::<Authorization<Bearer>>() {
        return Ok(Some(bearer.token().to_owned()));
    }
    if let Some(basic) = headers.typed_get::<Authorization<Basic>>() {
        return Ok(Some(basic.0.password().to_owned()));
    }
    let message = "the `Authorization` header is neither Bearer nor Basic";
    Err(Error::new(ErrorCode::Unauthenticated, message).with_hint("send `Authorization: Bearer <token>`"))
}
