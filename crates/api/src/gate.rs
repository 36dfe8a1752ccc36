//! What happens around every handler, in one place and in this order: request id, room, host and
//! origin, who calls and what they may, the session's form token, the handler, panics, errors,
//! headers, metrics, log.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, ErrorKind, Result};

use crate::access::{Access, Identity, admit};
use crate::door::Door;
use crate::error::{ApiError, Protocol, render};
use crate::extract;
use crate::guard;
use crate::options::limits;
use crate::routes::Route;

/// The header that carries a request's id.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header in which scripts of a page send the session's form token.
static CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The field in which forms send it.
const CSRF_FIELD: &str = "csrf_token";

/// What every answer carries unless its handler says otherwise.
static HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// A request's id, kept in the request for handlers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) RequestId);

/// When a request began, kept in the request for handlers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Began(pub(crate) Instant);

/// A handler behind everything a route asks for.
#[derive(Clone)]
pub(crate) struct Gated<H> {
    route: Arc<Route>,
    handler: H,
}

impl<H> Gated<H> {
    pub(crate) fn new(route: Arc<Route>, handler: H) -> Self {
        Self { route, handler }
    }
}

impl<T: 'static, H: Handler<T, Door>> Handler<T, Door> for Gated<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, door: Door) -> Self::Future {
        Box::pin(async move { answer(&self.route, self.handler, request, door).await })
    }
}

async fn answer<T: 'static, H: Handler<T, Door>>(
    route: &Route,
    handler: H,
    mut request: Request,
    door: Door,
) -> Response {
    let (id, began) = (RequestId::generate(), Instant::now());
    request.extensions_mut().insert(Id(id));
    request.extensions_mut().insert(Began(began));
    let head = Head::of(&request, route);
    let answered = match enter(route, request, &door).await {
        Ok((request, _room)) => {
            let call = handler.call(request, door.clone());
            let answered = if head.is_change() {
                door.0.app.work.finish("request", call).await
            } else {
                AssertUnwindSafe(call).catch_unwind().await.ok()
            };
            answered.unwrap_or_else(|| {
                ApiError::from(Error::internal("the server could not answer this", "a handler panicked or was stopped"))
                    .into_response()
            })
        }
        Err(error) => ApiError::from(error).into_response(),
    };
    let response = finish(&head, answered, id);
    let elapsed = began.elapsed();
    door.0.metrics.count(route.place, response.status(), elapsed);
    log(route, &head, id, &response, elapsed.as_micros() as u64);
    response
}

/// What is needed of a request after its handler took it.
struct Head {
    method: Method,
    path: Option<String>,
    protocol: Protocol,
    wants_page: bool,
}

impl Head {
    fn of(request: &Request, route: &Route) -> Self {
        let is_unmatched = route.method == "ANY" && route.protocol == Protocol::Native;
        let protocol = if is_unmatched { Protocol::of(request.uri().path()) } else { route.protocol };
        let wants_page = protocol == Protocol::Page && request.method() == Method::GET;
        let path = (wants_page || is_unmatched).then(|| request.uri().path().to_owned());
        Self { method: request.method().clone(), path, protocol, wants_page }
    }

    /// A change is carried out to its end even when its caller goes away in the middle.
    fn is_change(&self) -> bool {
        !guard::is_safe(&self.method) && !matches!(self.protocol, Protocol::Inference | Protocol::Scoring)
    }
}

/// A place among the requests under way; gone with the request.
struct Room(Door);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn room(in_flight: &AtomicUsize, door: &Door, is_probe: bool) -> Result<Room> {
    let before = in_flight.fetch_add(1, Ordering::Relaxed);
    let room = Room(door.clone());
    // Probes are answered even then: a busy server is alive.
    if before >= limits::REQUESTS_MAX && !is_probe {
        return Err(Error::new(ErrorCode::Busy, format!("{} requests are under way", limits::REQUESTS_MAX))
            .with_hint("try again in a moment"));
    }
    Ok(room)
}

async fn enter(route: &Route, request: Request, door: &Door) -> Result<(Request, Room)> {
    let is_probe = route.access == Access::Public && route.protocol != Protocol::Page;
    let room = room(&door.0.in_flight, door, is_probe)?;
    let (mut parts, body) = request.into_parts();
    guard::judge(&parts, &door.0.options.hosts)?;
    admit(door, route.access, &mut parts).await?;
    let session = parts.extensions.get::<Identity>().and_then(|identity| identity.session.clone());
    let Some(session) = session.filter(|_| !guard::is_safe(&parts.method)) else {
        return Ok((Request::from_parts(parts, body), room));
    };
    // The cookie comes along by itself; the token only from a page of ours.
    if let Some(sent) = parts.headers.get(&CSRF_HEADER) {
        same(sent.as_bytes(), session.csrf_token.as_bytes())?;
        return Ok((Request::from_parts(parts, body), room));
    }
    let bytes = extract::read(&parts.headers, body, limits::FORM_BYTES_MAX).await?;
    same(form_token(&parts.headers, &bytes).unwrap_or_default().as_bytes(), session.csrf_token.as_bytes())?;
    Ok((Request::from_parts(parts, axum::body::Body::from(bytes)), room))
}

fn form_token(headers: &HeaderMap, bytes: &[u8]) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let uri = http::Uri::builder().path_and_query(format!("/?{}", std::str::from_utf8(bytes).ok()?)).build().ok()?;
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?.0;
    pairs.into_iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value)
}

/// Compares in a time that does not depend on where two texts differ.
fn same(sent: &[u8], kept: &[u8]) -> Result<()> {
    let differs = sent.iter().zip(kept).fold(sent.len() ^ kept.len(), |differs, (a, b)| differs | usize::from(a ^ b));
    if differs == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorCode::CrossSite, "the form carries no token of this session")
        .with_hint("load the page again, then send the form"))
}

/// Tells an error by the rules of the protocol, and puts on the headers.
fn finish(head: &Head, mut response: Response, id: RequestId) -> Response {
    if let Some(ApiError(error)) = response.extensions_mut().remove::<ApiError>() {
        if error.kind() == ErrorKind::Internal {
            tracing::error!(request.id = %id, error = error.chain(), "a request failed");
        }
        let status = response.status();
        response = match &head.path {
            Some(path) if head.wants_page && error.kind() == ErrorKind::Unauthenticated => to_login(path),
            _ => render(head.protocol, &error, id),
        };
        if status == http::StatusCode::METHOD_NOT_ALLOWED {
            *response.status_mut() = status;
        }
    }
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let mut text = [0; 32];
    let text = id.uuid().as_simple().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    response
}

/// Somebody without a session is sent to the page that begins one.
fn to_login(path: &str) -> Response {
    let place = if path.starts_with('/') && !path.starts_with("//") { path } else { "/" };
    axum::response::Redirect::to(&format!("/login?next={}", place.replace(['&', '#', '?', '%', '+'], "")))
        .into_response()
}

fn log(route: &Route, head: &Head, id: RequestId, response: &Response, us: u64) {
    // Where a page is may be a secret: a link that signs in.
    let path = head.path.as_deref().filter(|_| !head.wants_page).unwrap_or(&route.path);
    let status = response.status().as_u16();
    // What is asked thousands of times a second is not told each time, nor what was only looked at.
    let is_quiet = status < 500 && matches!(route.protocol, Protocol::Inference | Protocol::Scoring)
        || status < 400 && head.method.is_safe();
    if is_quiet {
        tracing::debug!(request.id = %id, http.method = %head.method, http.route = path, http.status = status, latency_us = us, "request");
    } else {
        tracing::info!(request.id = %id, http.method = %head.method, http.route = path, http.status = status, latency_us = us, "request");
    }
}
