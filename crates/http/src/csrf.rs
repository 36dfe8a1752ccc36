//! Cross-site request forgery: a change by a credential that browsers attach by themselves has to carry the session's
//! token, in the header `X-CSRF-Token` or in the form field `csrf_token`.

use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, HeaderName, header};
use perennial_core::{Error, ErrorCode, Result};
use subtle::ConstantTimeEq;

use crate::authentication::Identity;
use crate::{body, limits, same_origin};

/// The header in which scripts of a page send the token.
static CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The field in which forms send the token.
const CSRF_FIELD: &str = "csrf_token";

/// Refuses a change that does not carry the CSRF token of its session. A form is read for it and handed on whole.
pub(crate) async fn check(identity: Option<&Identity>, request: Request) -> Result<Request> {
    let expected = identity.and_then(|identity| identity.csrf_token.as_deref());
    let Some(expected) = expected.filter(|_| !same_origin::is_safe(request.method())) else { return Ok(request) };
    if let Some(sent) = request.headers().get(&CSRF_HEADER) {
        verify(sent.as_bytes(), expected)?;
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let form = body::read(&parts, body, limits::FORM_BYTES_MAX).await?;
    verify(form_field(&parts.headers, &form).unwrap_or_default().as_bytes(), expected)?;
    Ok(Request::from_parts(parts, Body::from(form)))
}

/// The token among the fields of a form.
fn form_field(headers: &HeaderMap, form: &[u8]) -> Option<String> {
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !media_type.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let mut fields = url::form_urlencoded::parse(form);
    fields.find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value.into_owned())
}

/// Compares in constant time: how long it takes does not depend on where the tokens differ.
fn verify(sent: &[u8], expected: &str) -> Result<()> {
    if !expected.is_empty() && bool::from(sent.ct_eq(expected.as_bytes())) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::CrossSite, "the request does not carry the CSRF token of this session")
        .with_hint("load the page again, then send the form"))
}

#[cfg(test)]
mod tests;
