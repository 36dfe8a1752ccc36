//! The page of a request that failed.

use askama::Template;
use axum::response::{IntoResponse, Response};
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorKind};
use perennial_http::{RequestMeta, status};

use crate::layout::Layout;
use crate::paths;
use crate::routing::page_with;

#[derive(Template)]
#[template(path = "failure.html")]
struct Page {
    layout: Layout,
    message: String,
    hint: Option<String>,
    code: &'static str,
    /// The request under which the log has the cause.
    request: Option<RequestId>,
    back: String,
}

/// The page of an error. An internal error is shown as the id under which the log has its cause.
pub(crate) fn render(error: &Error, request: &RequestMeta) -> Response {
    let is_internal = error.kind() == ErrorKind::Internal;
    let page = Page {
        layout: Layout::bare(request.identity.as_ref(), "Error"),
        message: if is_internal { "something went wrong on the server".to_owned() } else { error.message().to_owned() },
        hint: error.hint().filter(|_| !is_internal).map(str::to_owned),
        code: error.code().name(),
        request: is_internal.then_some(request.id),
        back: request.project.as_ref().map_or_else(|| "/".to_owned(), |project| paths::section(&project.name, "")),
    };
    let status = status(error.kind());
    page_with(status, &page).unwrap_or_else(|_| status.into_response())
}
