//! JSON bodies.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use perennial_core::{Error, ErrorCode, Result};
use perennial_http::{HttpError, body};
use serde::de::DeserializeOwned;

use crate::limits;

/// A JSON body of at most [`limits::BODY_BYTES_MAX`]; an empty one is read as `{}`.
pub(crate) struct Body<T>(
    /// The value.
    pub T,
);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts, body, limits::BODY_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self(parse(b"{}")?));
        }
        require_json(&parts.headers)?;
        Ok(Self(body::parse(bytes, parse).await?))
    }
}

/// HTML forms cannot send this media type, so a page of another site cannot make such a request.
fn require_json(headers: &HeaderMap) -> Result<()> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the body is of type `{}`, expected `application/json`", essence.escape_debug());
    Err(Error::new(ErrorCode::InvalidArgument, message).with_hint("send `Content-Type: application/json`"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|cause| Error::new(ErrorCode::InvalidArgument, format!("cannot parse the body: {cause}")))
}
