//! What happens around every page.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use askama::Template;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use perennial_app::access::SessionCaller;
use perennial_app::{App, Caller, ProjectState};
use perennial_core::id::TokenId;
use perennial_core::permission::{Permission, Principal};
use perennial_core::{Error, ErrorCode, ErrorKind, Result};

use crate::SESSION_COOKIE;
use crate::access::{self, Access};
use crate::pages::failure;
use crate::visit::Visit;
use crate::{FORM_BYTES_MAX, Options, guard, routes};

/// Scripts, frames, objects and styles in the page itself are all refused: the pages have none.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page shares; clones are cheap.
#[derive(Clone)]
pub(crate) struct Door(Arc<Shared>);

/// What every page shares.
pub(crate) struct Shared {
    pub app: Arc<App>,
    pub options: Options,
    /// Who looks when nobody has to say so.
    pub local: Arc<SessionCaller>,
}

impl std::ops::Deref for Door {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Door {
    pub(crate) fn new(app: Arc<App>, options: Options) -> Self {
        let principal = Principal { name: "local".to_owned(), ..Caller::system(app.kernel.clone(), "local").principal };
        // Two fresh ids hold more than 128 random bits.
        let random = format!("{}{}", TokenId::generate(), TokenId::generate());
        let csrf_token = blake3::derive_key("perennial console local form token v1", random.as_bytes());
        let local = Arc::new(SessionCaller { principal, csrf_token: hex::encode(csrf_token) });
        Self(Arc::new(Shared { app, options, local }))
    }

    async fn answer<F, Fut>(self, access: Access, request: Request, handler: F) -> Response
    where
        F: FnOnce(Visit) -> Fut,
        Fut: Future<Output = Result<Response>>,
    {
        let (mut parts, body) = request.into_parts();
        let mut visit = Visit {
            door: self,
            who: None,
            project: None,
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            params: BTreeMap::new(),
            query: BTreeMap::new(),
            form: BTreeMap::new(),
            cookie: access::cookie(&parts.headers, SESSION_COOKIE).map(str::to_owned),
            is_https: parts
                .headers
                .get(header::ORIGIN)
                .is_some_and(|origin| origin.as_bytes().starts_with(b"https://")),
        };
        let is_post = parts.method == Method::POST;
        let admitted = match admit(&mut visit, access, &mut parts).await {
            Ok(None) if is_post => read_form(&mut visit, access, Request::from_parts(parts, body)).await.map(|()| None),
            admitted => admitted,
        };
        let answered = match admitted {
            Ok(Some(elsewhere)) => Ok(elsewhere),
            Ok(None) => handler(visit.clone()).await,
            Err(error) => Err(error),
        };
        protected(answered.unwrap_or_else(|error| failure::answer(&visit, &error)))
    }
}

/// Lets a visitor in, or sends them elsewhere.
async fn admit(visit: &mut Visit, access: Access, parts: &mut Parts) -> Result<Option<Response>> {
    guard::judge(parts, &visit.door.options.hosts)?;
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|rejection| Error::new(ErrorCode::InvalidArgument, rejection.to_string()))?;
    visit.params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    visit.query = Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
    if access == Access::Public {
        return Ok(None);
    }
    visit.who = access::identify(&visit.door, parts).await?;
    let Some(who) = &visit.who else {
        let next = if parts.method == Method::GET { visit.path.as_str() } else { "/" };
        return Ok(Some(Redirect::to(&routes::login(next)).into_response()));
    };
    if let Access::Project(permission) = access {
        let project = project(visit, &who.principal).await?;
        visit.project = Some(project.clone());
        who.principal.require(permission, Some(project.id))?;
    }
    Ok(None)
}

/// The project the path names. Whoever may not read it is told what is told of one that is not there.
async fn project(visit: &Visit, principal: &Principal) -> Result<Arc<ProjectState>> {
    let name = visit.text("project");
    let missing = || {
        Error::not_found("project", name.escape_debug())
            .with_hint("`perennial run` in the project's folder makes it known")
    };
    let parsed = name.parse().map_err(|_| missing())?;
    let project = visit.app().projects.get_by_name(&parsed).await?;
    if principal.may(Permission::Read, Some(project.id)) { Ok(project) } else { Err(missing()) }
}

/// Reads what was posted. Where there is a session, the form must carry its token.
async fn read_form(visit: &mut Visit, access: Access, request: Request) -> Result<()> {
    let Form(form) = Form::<BTreeMap<String, String>>::from_request(request, &()).await.map_err(|rejection| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the form does not read: {}", rejection.body_text().to_lowercase()),
        )
    })?;
    visit.form = form;
    if access == Access::Public {
        return Ok(());
    }
    let expected = visit.who.as_ref().map(|who| who.csrf_token.as_str()).unwrap_or_default();
    let given = visit.form.get("csrf").map(String::as_str).unwrap_or_default();
    // Digests are compared, so that the time it takes tells nothing of the token.
    if expected.is_empty() || blake3::hash(expected.as_bytes()) != blake3::hash(given.as_bytes()) {
        let message = "the form does not carry this session's token";
        return Err(Error::new(ErrorCode::CrossSite, message)
            .with_hint("go back, load the page again and send the form from there"));
    }
    Ok(())
}

fn protected(mut response: Response) -> Response {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page as an answer.
pub(crate) fn page(template: &impl Template) -> Result<Response> {
    page_with(StatusCode::OK, template)
}

/// A page as an answer with a status.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response> {
    let text = template.render().map_err(|cause| Error::internal("a page did not render", cause))?;
    Ok((status, Html(text)).into_response())
}

/// The status of an error.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::FailedPrecondition => StatusCode::CONFLICT,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Pages under way to a server: each is registered with what it asks of its visitor.
pub(crate) struct Pages {
    door: Door,
    pages: BTreeMap<String, MethodRouter>,
}

impl Pages {
    pub(crate) fn new(door: Door) -> Self {
        Self { door, pages: BTreeMap::new() }
    }

    /// Answers GET (and HEAD) at `path`.
    pub(crate) fn get<F, Fut>(self, path: &str, access: Access, handler: F) -> Self
    where
        F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send,
    {
        let door = self.door.clone();
        self.add(path, get(move |request: Request| door.clone().answer(access, request, handler.clone())))
    }

    /// Answers a form at `path`.
    pub(crate) fn post<F, Fut>(self, path: &str, access: Access, handler: F) -> Self
    where
        F: Fn(Visit) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send,
    {
        let door = self.door.clone();
        self.add(path, post(move |request: Request| door.clone().answer(access, request, handler.clone())))
    }

    fn add(mut self, path: &str, more: MethodRouter) -> Self {
        let known = self.pages.remove(path).unwrap_or_default();
        self.pages.insert(path.to_owned(), known.merge(more));
        self
    }

    /// Every page by its path.
    pub(crate) fn finish(self) -> Vec<(String, MethodRouter)> {
        let limited = |page: MethodRouter| page.layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
        self.pages.into_iter().map(|(path, page)| (path, limited(page))).collect()
    }
}
