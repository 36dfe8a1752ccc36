//! Signing in by a token or a one-time link, and signing out.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use perennial_core::{ErrorKind, Result};
use perennial_http::{begin_session, end_session};
use perennial_kernel::access;

use crate::layout::Layout;
use crate::paths;
use crate::request::PageRequest;
use crate::routing::{page, page_with};

#[derive(Template)]
#[template(path = "login.html")]
struct Page {
    layout: Layout,
    /// The address to open after signing in.
    next: String,
    /// Why the last attempt was refused.
    refused: Option<String>,
}

/// The form that takes a token.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let next = request.query.get("next").cloned().unwrap_or_default();
    page(&Page { layout: Layout::bare(None, "Sign in"), next: own_address(&next).to_owned(), refused: None })
}

/// Turns a token into a session.
pub(crate) async fn begin(request: PageRequest) -> Result<Response> {
    let field = |name: &str| request.form.get(name).map(String::as_str).unwrap_or_default();
    let next = own_address(field("next")).to_owned();
    match access::log_in(&request.app().kernel, field("token").trim()).await {
        Ok(secret) => Ok(started(&request, &next, secret)),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            let refused = Some(error.message().to_owned());
            page_with(StatusCode::UNAUTHORIZED, &Page { layout: Layout::bare(None, "Sign in"), next, refused })
        }
        Err(error) => Err(error),
    }
}

#[derive(Template)]
#[template(path = "login_link.html")]
struct LinkPage {
    layout: Layout,
    /// The address of the form.
    link: String,
}

/// The form that uses up a one-time link. Showing it does not: mail and chat clients open the links they carry.
pub(crate) async fn show_link(request: PageRequest) -> Result<Response> {
    page(&LinkPage { layout: Layout::bare(None, "Sign in"), link: paths::login_link(request.text("link")) })
}

/// Turns a one-time link into a session.
pub(crate) async fn use_link(request: PageRequest) -> Result<Response> {
    let secret = access::use_admin_link(&request.app().kernel, request.text("link")).await?;
    Ok(started(&request, "/", secret))
}

/// Ends the session.
pub(crate) async fn end(request: PageRequest) -> Result<Response> {
    if let Some(secret) = request.session_secret() {
        access::log_out(&request.app().kernel, &secret).await?;
    }
    Ok((end_session(request.is_https()), Redirect::to("/login")).into_response())
}

fn started(request: &PageRequest, next: &str, secret: String) -> Response {
    (begin_session(secret, request.is_https()), Redirect::to(next)).into_response()
}

/// `next` when it is an address on this server, else the first page.
fn own_address(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own { next } else { "/" }
}
