//! Registering pages, and what they have in common as one surface of the perimeter.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use askama::Template;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::{HeaderValue, Method, StatusCode};
use perennial_core::{Error, Result, control_characters};
use perennial_http::Slices;
use perennial_http::{Access, Credentials, HttpError, Perimeter, RequestMeta, Routes, Surface};

use crate::pages::failure;
use crate::paths;
use crate::request::PageRequest;

/// Scripts, frames, objects and inline styles are refused: the pages have none.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Pages for people, who sign in by a form and hold a session.
struct PageSurface;

impl Surface for PageSurface {
    fn render_error(&self, error: &Error, request: &RequestMeta) -> Response {
        failure::render(error, request)
    }

    fn sign_in(&self, request: &RequestMeta) -> Option<Response> {
        let target = request.uri.path_and_query().filter(|_| request.method == Method::GET);
        Some(Redirect::to(&paths::login(target.map_or("/", |target| target.as_str()))).into_response())
    }

    fn credentials(&self) -> Credentials {
        Credentials::Session
    }

    fn content_security_policy(&self) -> HeaderValue {
        HeaderValue::from_static(POLICY)
    }
}

/// Pages being registered, each with the access it requires.
pub(crate) struct Pages(Routes<Arc<Slices>>);

impl Pages {
    pub(crate) fn new(perimeter: &Perimeter) -> Self {
        Self(Routes::new(perimeter, |_| &PageSurface))
    }

    /// Answers GET and HEAD at `path`.
    pub(crate) fn get<F, Fut>(self, path: &str, access: Access, handler: F) -> Self
    where
        F: Fn(PageRequest) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        Self(self.0.get(path, access, move |request: PageRequest| {
            let answered = handler(request);
            async move { answered.await.map_err(HttpError::from) }
        }))
    }

    /// Answers a form at `path`.
    pub(crate) fn post<F, Fut>(self, path: &str, access: Access, handler: F) -> Self
    where
        F: Fn(PageRequest) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        Self(self.0.post(path, access, move |request: PageRequest| {
            let answered = handler(request);
            async move { answered.await.map_err(HttpError::from) }
        }))
    }

    /// The pages, with the state of their handlers.
    pub(crate) fn finish(self, perimeter: &Perimeter) -> Routes {
        self.0.with_state(perimeter.app().clone())
    }
}

/// The response that shows a page.
pub(crate) fn page(template: &impl Template) -> Result<Response> {
    page_with(StatusCode::OK, template)
}

/// The response that shows a page, with a status. Control characters are shown as `\u202e`: those of bidirectional text
/// would show a log or a name in another order than it has.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response> {
    let text = template.render().map_err(|cause| Error::internal("a page could not be rendered", cause))?;
    let text = if let Cow::Owned(escaped) = control_characters::escape(&text) { escaped } else { text };
    Ok((status, Html(text)).into_response())
}
