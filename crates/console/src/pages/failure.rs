//! What is shown when a page cannot be.

use askama::Template;
use axum::response::{IntoResponse, Response};
use perennial_core::id::TokenId;
use perennial_core::{Error, ErrorKind};

use crate::door::{page_with, status};
use crate::routes;
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "failure.html")]
struct Page {
    shell: Shell,
    message: String,
    hint: Option<String>,
    code: &'static str,
    /// By which the log knows what happened.
    id: Option<String>,
    back: String,
}

/// The page of an error. What is our own fault is told by an id, and in full to the log.
pub(crate) fn answer(visit: &Visit, error: &Error) -> Response {
    let is_ours = error.kind() == ErrorKind::Internal;
    let id = is_ours.then(|| TokenId::generate().to_string());
    if let Some(id) = &id {
        tracing::error!(error.id = %id, error.chain = %error.chain(), page = %visit.path, "a page failed");
    }
    let page = Page {
        shell: Shell::bare(visit, "Not shown"),
        message: if is_ours { "something went wrong on the server".to_owned() } else { error.message().to_owned() },
        hint: error.hint().filter(|_| !is_ours).map(str::to_owned),
        code: error.code().name(),
        id,
        back: visit.project.as_ref().map_or_else(|| "/".to_owned(), |project| routes::section(&project.name, "")),
    };
    let status = status(error.kind());
    page_with(status, &page).unwrap_or_else(|_| status.into_response())
}
