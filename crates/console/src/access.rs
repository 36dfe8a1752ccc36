//! Who looks, and what a page asks of them.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};
use perennial_app::access::{SessionCaller, session};
use perennial_core::permission::Permission;
use perennial_core::site::{self, SESSION_COOKIE};
use perennial_core::{Error, ErrorCode, Result};

use crate::door::Door;

/// What a page asks of its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: anybody may look.
    Public,
    /// To be somebody; the use case asks for more.
    Known,
    /// A permission on the project that `{project}` in the path names.
    Project(Permission),
}

/// Who looks; `None` for somebody without a session.
pub(crate) async fn identify(door: &Door, parts: &Parts) -> Result<Option<Arc<SessionCaller>>> {
    if !door.options.auth {
        if (door.options.is_local)(&parts.extensions) {
            return Ok(Some(door.local.clone()));
        }
        let message = "without authentication only visitors on this machine are answered";
        return Err(Error::new(ErrorCode::Unauthenticated, message).with_hint("start the server with `--auth on`"));
    }
    match cookie(&parts.headers, SESSION_COOKIE) {
        Some(cookie) => Ok(session(&door.app.kernel, cookie).await?.map(Arc::new)),
        None => Ok(None),
    }
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    site::cookie(all, name)
}
