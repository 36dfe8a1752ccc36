//! Who calls, and what a route asks of them.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, header};
use perennial_app::ProjectState;
use perennial_app::access::{SessionCaller, own_run_only, session};
use perennial_core::permission::{Permission, Principal};
use perennial_core::site::{self, SESSION_COOKIE};
use perennial_core::{Error, ErrorCode, Result};

use crate::door::Door;
use crate::serve::Peer;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: anybody may call.
    Public,
    /// To be somebody; the use case asks for more.
    Known,
    /// A permission on the whole server.
    Server(Permission),
    /// A permission on the project that `{project}` in the path names.
    Project(Permission),
    /// A permission on the project of the endpoint that `{endpoint}` in the path names.
    Endpoint(Permission),
}

impl Access {
    /// The rule in words, for the description of the routes.
    pub(crate) fn words(self) -> String {
        let word = |permission| match permission {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Approve => "approve",
            Permission::Manage => "manage",
        };
        match self {
            Self::Public => "public".to_owned(),
            Self::Known => "any token".to_owned(),
            Self::Server(permission) => format!("{} on the server", word(permission)),
            Self::Project(permission) => format!("{} on the project", word(permission)),
            Self::Endpoint(permission) => format!("{} on the endpoint's project", word(permission)),
        }
    }
}

/// Who called: kept in the request for extractors.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) principal: Arc<Principal>,
    pub(crate) session: Option<Arc<SessionCaller>>,
}

/// The project a route is about: kept in the request for extractors.
#[derive(Clone)]
pub(crate) struct Subject(pub(crate) Arc<ProjectState>);

/// Who a request comes from; an error when it does not say, or says what nobody knows.
pub(crate) async fn identify(door: &Door, parts: &Parts) -> Result<Identity> {
    if !door.0.options.auth {
        return local(door, parts);
    }
    if let Some(secret) = secret(&parts.headers)? {
        return Ok(Identity {
            principal: door.0.known.authenticate(&door.0.app.kernel, &secret).await?,
            session: None,
        });
    }
    if let Some(cookie) = cookie(&parts.headers, SESSION_COOKIE)
        && let Some(found) = session(&door.0.app.kernel, cookie).await?
    {
        return Ok(Identity { principal: Arc::new(found.principal.clone()), session: Some(Arc::new(found)) });
    }
    Err(Error::new(ErrorCode::Unauthenticated, "this needs a token or a session")
        .with_hint("send `Authorization: Bearer <token>`; `perennial tokens create` makes one, `perennial login-link` signs a browser in"))
}

fn local(door: &Door, parts: &Parts) -> Result<Identity> {
    match parts.extensions.get::<Peer>() {
        Some(peer) if peer.0.ip().to_canonical().is_loopback() => {
            Ok(Identity { principal: door.0.local.clone(), session: None })
        }
        _ => Err(Error::new(
            ErrorCode::Unauthenticated,
            "without authentication only callers on this machine are answered",
        )
        .with_hint("start the server with `--auth on`")),
    }
}

/// The secret of a Bearer or Basic header. A scheme that is neither is an error; so is a Basic text that does not decode.
fn secret(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let refused = || {
        Error::new(ErrorCode::Unauthenticated, "the `Authorization` header is neither Bearer nor Basic")
            .with_hint("send `Authorization: Bearer <token>`")
    };
    let (scheme, rest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(rest.trim().to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded =
            STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
        let (_, password) = decoded.split_once(':').ok_or_else(refused)?;
        return Ok(Some(password.to_owned()));
    }
    Err(refused())
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    site::cookie(all, name)
}

/// Refuses a caller who lacks what the route asks for; leaves in the request who calls and which project it is about.
pub(crate) async fn admit(door: &Door, access: Access, parts: &mut Parts) -> Result<()> {
    if access == Access::Public {
        return Ok(());
    }
    let identity = identify(door, parts).await?;
    match access {
        Access::Public | Access::Known => {}
        Access::Server(permission) => {
            own_run_only(&identity.principal, permission)?;
            identity.principal.require(permission, None)?;
        }
        Access::Project(permission) => {
            let project = project(door, parts, &identity.principal).await?;
            own_run_only(&identity.principal, permission)?;
            identity.principal.require(permission, Some(project.id))?;
            parts.extensions.insert(Subject(project));
        }
        Access::Endpoint(permission) => {
            let name = param(parts, "endpoint").await?;
            // An endpoint that is not there is the handler's to tell.
            if let Some(deployment) = door.0.app.endpoints.router.find(&name) {
                identity.principal.require(permission, Some(deployment.project.id))?;
            }
        }
    }
    parts.extensions.insert(identity);
    Ok(())
}

/// The project the path names. Whoever may not read it is told what is told of one that is not there.
async fn project(door: &Door, parts: &mut Parts, principal: &Principal) -> Result<Arc<ProjectState>> {
    let name = param(parts, "project").await?;
    let missing = || {
        Error::not_found("project", name.escape_debug())
            .with_hint("`perennial run` in the project's folder makes it known")
    };
    let parsed = name.parse().map_err(|_| missing())?;
    let project = door.0.app.projects.get_by_name(&parsed).await?;
    if principal.may(Permission::Read, Some(project.id)) { Ok(project) } else { Err(missing()) }
}

async fn param(parts: &mut Parts, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|rejection| Error::new(ErrorCode::InvalidArgument, rejection.to_string()))?;
    let found = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| {
        Error::internal(format!("a route without `{{{name}}}` asks for it"), "the route is declared wrongly")
    })
}
