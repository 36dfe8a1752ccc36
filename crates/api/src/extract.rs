//! What handlers take: each refusal is an error of ours.

use std::sync::Arc;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use perennial_app::access::SessionCaller;
use perennial_app::{Caller, ProjectState};
use perennial_core::permission::Principal;
use perennial_core::{Error, ErrorCode, Result};
use serde::de::DeserializeOwned;

use crate::access::{Identity, Subject};
use crate::door::Door;
use crate::error::ApiError;
use crate::options::limits;

/// Who calls. Only behind an access rule that asks who.
pub struct Who {
    /// The caller, for use cases.
    pub caller: Caller,
    /// The browser session they call from.
    pub session: Option<Arc<SessionCaller>>,
}

impl FromRequestParts<Door> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>().cloned();
        let Identity { principal, session } = identity
            .ok_or_else(|| Error::internal("a public route asks who calls", "the route is declared wrongly"))?;
        Ok(Self { caller: Caller::new(door.0.app.kernel.clone(), Principal::clone(&principal)), session })
    }
}

/// Who calls, and the project the path names. Only behind `Access::Project`.
pub struct On {
    /// The caller, for use cases.
    pub caller: Caller,
    /// The project.
    pub project: Arc<ProjectState>,
}

impl FromRequestParts<Door> for On {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, ApiError> {
        let subject = parts.extensions.get::<Subject>().cloned();
        let Subject(project) = subject
            .ok_or_else(|| Error::internal("a route without a project asks for it", "the route is declared wrongly"))?;
        let Who { caller, .. } = Who::from_request_parts(parts, door).await?;
        Ok(Self { caller, project })
    }
}

/// Parameters of the path.
pub struct Path<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned + Send> FromRequestParts<Door> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, door).await {
            Ok(path) => Ok(Self(path.0)),
            Err(rejection) => Err(Error::new(ErrorCode::InvalidArgument, unread(&rejection)).into()),
        }
    }
}

/// Why parameters of the path do not read: what the type of one says of it, where it says something.
fn unread(rejection: &PathRejection) -> String {
    match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.kind() {
            ErrorKind::DeserializeError { message, .. } | ErrorKind::Message(message) => message.clone(),
            other => lower(&other.to_string()),
        },
        other => lower(&other.body_text()),
    }
}

/// Parameters of the query.
pub struct Query<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned> FromRequestParts<Door> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Door) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => Err(Error::new(ErrorCode::InvalidArgument, lower(&rejection.body_text())).into()),
        }
    }
}

/// A JSON body of at most [`limits::BODY_BYTES_MAX`]; an empty one reads as `{}`.
pub struct Body<T>(
    /// What it holds.
    pub T,
);

impl<T: DeserializeOwned> FromRequest<Door> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Door) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, limits::BODY_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self(parse(b"{}")?));
        }
        is_json(&parts.headers)?;
        Ok(Self(parse(&bytes)?))
    }
}

/// A form sends neither this type nor one that reads as JSON, so a page of another site cannot make such a request unasked.
fn is_json(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the body is of type `{}`, expected `application/json`", essence.escape_debug());
    Err(Error::new(ErrorCode::InvalidArgument, message).with_hint("send `Content-Type: application/json`"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|cause| Error::new(ErrorCode::InvalidArgument, format!("the body does not read: {cause}")))
}

/// Reads a body whole, `limit` bytes at most, before it is looked at.
pub(crate) async fn read(headers: &HeaderMap, mut body: axum::body::Body, limit: usize) -> Result<Bytes> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        // Whoever asked first whether to send it has not sent it.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large(limit));
    }
    let collected = tokio::time::timeout(limits::BODY_TIME_MAX, Limited::new(&mut body, limit).collect()).await;
    let collected = collected.map_err(|_| {
        Error::new(ErrorCode::Timeout, format!("the body did not arrive within {} s", limits::BODY_TIME_MAX.as_secs()))
    })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(limit))
        }
        Err(cause) => Err(Error::new(ErrorCode::InvalidArgument, "the body was cut off").with_source(cause)),
    }
}

/// Reads on and keeps nothing: a client that is still sending reads no answer, and a connection that is
/// closed before its body was read takes the answer along. Bounded in bytes and in time.
async fn discard(mut body: axum::body::Body) {
    let reading = async {
        let mut left = limits::DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Who sends without end, or too slowly, reads no answer.
    let _ = tokio::time::timeout(limits::BODY_TIME_MAX, reading).await;
}

/// The bytes of a body of any length; each part of it has to come within [`limits::BODY_TIME_MAX`].
pub(crate) fn incoming(body: axum::body::Body) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold(body.into_data_stream(), |mut parts| async move {
        match tokio::time::timeout(limits::BODY_TIME_MAX, parts.next()).await {
            Ok(part) => part.map(|part| (part.map_err(std::io::Error::other), parts)),
            Err(late) => Some((Err(late.into()), parts)),
        }
    })
}

/// A body over its limit.
pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorCode::TooLarge, format!("the body is larger than {limit} bytes")).with_hint("send less at once")
}

/// A foreign message as ours: a lowercase beginning, no final stop.
fn lower(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
