//! A request for a page.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use http::{HeaderMap, Method, header};
use perennial_core::{Error, ErrorCode, Result};
use perennial_http::Slices;
use perennial_http::extract::Form;
use perennial_http::{HttpError, Identity, ResolvedProject, session_secret};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

/// A request for a page: its caller, its project, and the parameters of path, query and form.
pub(crate) struct PageRequest {
    app: Arc<Slices>,
    pub identity: Option<Identity>,
    project: Option<Arc<ProjectState>>,
    /// The values of the path's `{names}`.
    params: BTreeMap<String, String>,
    pub query: BTreeMap<String, String>,
    /// The posted form; its CSRF token was checked.
    pub form: BTreeMap<String, String>,
    pub headers: HeaderMap,
}

impl FromRequest<Arc<Slices>> for PageRequest {
    type Rejection = HttpError;

    async fn from_request(request: Request, app: &Arc<Slices>) -> Result<Self, HttpError> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, app).await;
        let params = params.map_err(|rejection| Error::new(ErrorCode::InvalidArgument, rejection.to_string()))?;
        let mut page = Self {
            app: app.clone(),
            identity: parts.extensions.get::<Identity>().cloned(),
            project: parts.extensions.get::<ResolvedProject>().map(|resolved| resolved.0.clone()),
            params: params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            query: Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default(),
            form: BTreeMap::new(),
            headers: parts.headers.clone(),
        };
        if parts.method == Method::POST {
            page.form = Form::from_request(Request::from_parts(parts, body), app).await?.0;
        }
        Ok(page)
    }
}

impl PageRequest {
    pub(crate) fn app(&self) -> &Arc<Slices> {
        &self.app
    }

    /// The caller, as use cases take it.
    pub(crate) fn caller(&self) -> Result<Caller> {
        let identity = self.identity.as_ref();
        identity
            .map(Identity::caller)
            .ok_or_else(|| Error::internal("a public page takes a caller", "the page is registered wrongly"))
    }

    /// The project that the path names.
    pub(crate) fn project(&self) -> Result<&Arc<ProjectState>> {
        let project = self.project.as_ref();
        project.ok_or_else(|| Error::internal("a page without `{project}` takes one", "the page is registered wrongly"))
    }

    /// The text of the parameter `{name}` of the path.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The parameter `{name}` of the path; one that does not parse names nothing that exists.
    pub(crate) fn param<T: FromStr>(&self, name: &str, noun: &str) -> Result<T> {
        let text = self.text(name);
        text.parse().map_err(|_| Error::not_found(noun, text.escape_debug()))
    }

    /// The cursor after which a list continues.
    pub(crate) fn after(&self) -> Option<&str> {
        self.query.get("after").map(String::as_str).filter(|after| {
            !after.is_empty() && after.len() <= 64 && after.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }

    /// The secret of the browser's session.
    pub(crate) fn session_secret(&self) -> Option<String> {
        session_secret(&self.headers)
    }

    /// Whether the form was posted from a page that came by HTTPS: the browser says so in `Origin`, also behind a proxy.
    pub(crate) fn is_https(&self) -> bool {
        self.headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
    }
}
