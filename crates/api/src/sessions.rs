//! Browser sessions: begun by a one-time link or a token, ended by a form.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, header};
use perennial_app::access;
use perennial_core::site::SESSION_COOKIE;
use perennial_core::{Error, ErrorCode};
use serde::Deserialize;

use crate::access::{Access, cookie};
use crate::door::Door;
use crate::error::ApiError;
use crate::extract::{self, Path};
use crate::options::limits;
use crate::routes::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/login/{link}", Access::Public, use_link).post("/session", Access::Public, begin).post(
        "/session/end",
        Access::Known,
        end,
    )
}

async fn use_link(State(door): State<Door>, Path(link): Path<String>) -> Result<Response, ApiError> {
    let secret = access::use_admin_link(&door.0.app, &link).await?;
    started("/", &secret)
}

#[derive(Deserialize)]
struct Begin {
    token: String,
    #[serde(default)]
    next: String,
}

async fn begin(State(door): State<Door>, request: axum::extract::Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = extract::read(&parts.headers, body, limits::FORM_BYTES_MAX).await?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let uri = http::Uri::builder().path_and_query(format!("/?{text}")).build().map_err(|_| refused())?;
    let form = axum::extract::Query::<Begin>::try_from_uri(&uri).map_err(|_| refused())?.0;
    let secret = access::log_in(&door.0.app, form.token.trim()).await?;
    started(&form.next, &secret)
}

fn refused() -> Error {
    Error::new(ErrorCode::InvalidArgument, "the form carries no `token`")
        .hint("send a token made with `perennial tokens create`")
}

async fn end(State(door): State<Door>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(secret) = cookie(&headers, SESSION_COOKIE) {
        access::log_out(&door.0.app, secret).await?;
    }
    let mut response = Redirect::to("/login").into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, set(&format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"))?);
    Ok(response)
}

/// Goes to a page of ours with the session's cookie. A place elsewhere is not followed.
fn started(next: &str, secret: &str) -> Result<Response, ApiError> {
    let is_ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    let mut response = Redirect::to(if is_ours { next } else { "/" }).into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, set(&format!("{SESSION_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax"))?);
    Ok(response)
}

fn set(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|cause| Error::internal("a cookie does not write", cause))
}
