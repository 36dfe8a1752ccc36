//! Sessions: begun by a token or a one-time link, ended by a form.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use perennial_app::access;
use perennial_core::{Error, ErrorKind, Result};

use crate::SESSION_COOKIE;
use crate::door::{page, page_with};
use crate::routes;
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "login.html")]
struct Page {
    shell: Shell,
    /// Where the session leads to.
    next: String,
    /// Why the last try was refused.
    refused: Option<String>,
}

/// The form that takes a token.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let next = visit.query.get("next").cloned().unwrap_or_default();
    page(&Page { shell: Shell::bare(&visit, "Sign in"), next: ours(&next).to_owned(), refused: None })
}

/// Turns a token into a session.
pub(crate) async fn begin(visit: Visit) -> Result<Response> {
    let field = |name: &str| visit.form.get(name).map(String::as_str).unwrap_or_default();
    let next = ours(field("next")).to_owned();
    match access::log_in(&visit.app().kernel, field("token").trim()).await {
        Ok(cookie) => started(&visit, &next, &cookie),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            let refused = Some(error.message().to_owned());
            page_with(StatusCode::UNAUTHORIZED, &Page { shell: Shell::bare(&visit, "Sign in"), next, refused })
        }
        Err(error) => Err(error),
    }
}

#[derive(Template)]
#[template(path = "login_link.html")]
struct LinkPage {
    shell: Shell,
    /// Where the form goes.
    link: String,
}

/// The form that uses a one-time link up. To look at it does not: mail and chat look at the links they carry.
pub(crate) async fn show_link(visit: Visit) -> Result<Response> {
    page(&LinkPage { shell: Shell::bare(&visit, "Sign in"), link: routes::login_link(visit.text("link")) })
}

/// Turns a one-time link into a session.
pub(crate) async fn use_link(visit: Visit) -> Result<Response> {
    let cookie = access::use_admin_link(&visit.app().kernel, visit.text("link")).await?;
    started(&visit, "/", &cookie)
}

/// Ends the session.
pub(crate) async fn end(visit: Visit) -> Result<Response> {
    if let Some(cookie) = &visit.cookie {
        access::log_out(&visit.app().kernel, cookie).await?;
    }
    with_cookie(&visit, "/login", "", "; Max-Age=0")
}

fn started(visit: &Visit, next: &str, secret: &str) -> Result<Response> {
    with_cookie(visit, next, secret, "")
}

fn with_cookie(visit: &Visit, next: &str, secret: &str, lasting: &str) -> Result<Response> {
    let secure = if visit.is_https { "; Secure" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{lasting}");
    let value = HeaderValue::from_str(&cookie)
        .map_err(|cause| Error::internal("the session cookie is no header value", cause))?;
    let mut response = Redirect::to(next).into_response();
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}

/// A place of ours; anything else leads to the first page.
fn ours(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours { next } else { "/" }
}
