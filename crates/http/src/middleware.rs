//! What happens around every handler, in this order: request id, host and origin, authentication, a permit among the
//! requests in flight, authorization, CSRF token, the handler, panics, errors, headers, metrics, log.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, ErrorKind};

use crate::admission::peer;
use crate::authentication::{authenticate, missing_credentials};
use crate::authorization::{Access, ResolvedProject, authorize};
use crate::body::{BodyAccount, hold};
use crate::csrf;
use crate::error::HttpError;
use crate::metrics::InFlight;
use crate::perimeter::Perimeter;
use crate::quota::{Holder, Permit};
use crate::request::{RequestMeta, RequestStart};
use crate::routes::Route;
use crate::same_origin::{self, RequestOrigin};
use crate::server::ReservedConnection;
use crate::surface::Surface;

/// The header that carries a request's id.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every response, unless its handler set them.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// When a client may repeat a request that the server cannot take now, seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A handler behind the perimeter.
#[derive(Clone)]
pub(crate) struct Instrumented<H> {
    perimeter: Perimeter,
    route: Arc<Route>,
    handler: H,
}

impl<H> Instrumented<H> {
    pub(crate) fn new(perimeter: Perimeter, route: Arc<Route>, handler: H) -> Self {
        Self { perimeter, route, handler }
    }
}

impl<T: 'static, S: Send + 'static, H: Handler<T, S>> Handler<T, S> for Instrumented<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(async move {
            let Self { perimeter, route, handler } = self;
            respond(&perimeter, &route, handler, request, state).await
        })
    }
}

async fn respond<T: 'static, S: Send + 'static, H: Handler<T, S>>(
    perimeter: &Perimeter,
    route: &Route,
    handler: H,
    mut request: Request,
    state: S,
) -> Response {
    let (id, start) = (RequestId::generate(), Instant::now());
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(RequestStart(start));
    let surface = route.surface(request.uri().path());
    let mut meta = RequestMeta::new(id, &request);
    let answered = answer(perimeter, route, surface, &mut meta, handler, request, state);
    let response = AssertUnwindSafe(answered).catch_unwind().await.unwrap_or_else(|panic| after_panic(&*panic));
    let response = finish(surface, &meta, response);
    let elapsed = start.elapsed();
    route.metrics.record(response.status(), elapsed);
    log(route, surface, &meta, &response, elapsed.as_micros() as u64);
    response
}

/// Admits a request and calls its handler.
async fn answer<T: 'static, S: Send + 'static, H: Handler<T, S>>(
    perimeter: &Perimeter,
    route: &Route,
    surface: &dyn Surface,
    meta: &mut RequestMeta,
    handler: H,
    request: Request,
    state: S,
) -> Response {
    match admit(perimeter, route, surface, request, meta).await {
        Ok((request, in_flight)) => call(perimeter, surface, handler, request, (state, in_flight)).await,
        Err(AdmissionError::Error(error)) => error.into_response(),
        Err(AdmissionError::NoCredentials) => {
            surface.sign_in(meta).unwrap_or_else(|| HttpError::from(missing_credentials()).into_response())
        }
    }
}

/// The permit of a request in flight. It belongs to the work of the request and then to its response: a change
/// continues when its client disconnects, and a response takes memory until it is read.
struct InFlightPermit {
    in_flight: InFlight,
    _permit: Option<Permit>,
}

impl InFlightPermit {
    fn new(perimeter: &Perimeter, permit: Option<Permit>) -> Self {
        let in_flight = perimeter.metrics().in_flight().clone();
        in_flight.inc();
        Self { in_flight, _permit: permit }
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

/// Why a request does not reach its handler.
enum AdmissionError {
    NoCredentials,
    Error(HttpError),
}

impl From<Error> for AdmissionError {
    fn from(error: Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<HttpError> for AdmissionError {
    fn from(error: HttpError) -> Self {
        Self::Error(error)
    }
}

/// Admits a request to its handler. Identity and project are left in `meta` and in the request's extensions, even when
/// the request is refused afterwards.
async fn admit(
    perimeter: &Perimeter,
    route: &Route,
    surface: &dyn Surface,
    request: Request,
    meta: &mut RequestMeta,
) -> Result<(Request, InFlightPermit), AdmissionError> {
    let (mut parts, body) = request.into_parts();
    let (quotas, peer) = (perimeter.quotas(), peer(&parts));
    RequestOrigin::of(&parts).check(&perimeter.options().hosts)?;
    if !route.class.is_of_operations() {
        if parts.extensions.get::<ReservedConnection>().is_some() {
            return Err(out_of_connections().into());
        }
        perimeter.app().kernel.lease.require()?;
    }
    let is_refused = is_change(surface, &parts.method) && perimeter.app().kernel.work.is_stopping();
    if route.access == Access::Public {
        if is_refused {
            return Err(stopping().into());
        }
        let permit = quotas.public(route.class, peer)?;
        parts.extensions.insert(BodyAccount::public(quotas.body_bytes.clone(), peer));
        return Ok((Request::from_parts(parts, body), InFlightPermit::new(perimeter, permit)));
    }
    let _arrived = quotas.authentication(peer)?;
    let identity =
        authenticate(perimeter, surface.credentials(), &parts).await?.ok_or(AdmissionError::NoCredentials)?;
    meta.identity = Some(identity.clone());
    let principal = Holder::Principal(identity.principal.id);
    let in_flight = InFlightPermit::new(perimeter, Some(quotas.authenticated(route.class, principal)?));
    parts.extensions.insert(BodyAccount::authenticated(quotas.body_bytes.clone(), principal));
    // The server waits for running steps, which log to it until they end.
    if is_refused && identity.principal.run.is_none() {
        return Err(stopping().into());
    }
    let authorized = authorize(perimeter, route.access, &identity, &mut parts).await;
    meta.project = parts.extensions.get::<ResolvedProject>().map(|resolved| resolved.0.clone());
    authorized?;
    parts.extensions.insert(identity);
    let request = csrf::check(meta.identity.as_ref(), Request::from_parts(parts, body)).await?;
    Ok((request, in_flight))
}

/// Whether a request changes something. Its work then runs to its end even when its client disconnects.
fn is_change(surface: &dyn Surface, method: &Method) -> bool {
    !same_origin::is_safe(method) && !surface.is_prediction()
}

fn stopping() -> Error {
    Error::new(ErrorCode::NotReady, "the server is stopping and accepts no changes").with_hint("try again in a moment")
}

fn out_of_connections() -> Error {
    Error::new(ErrorCode::Busy, "as many connections as the server allows are in use")
        .with_hint("try again in a moment")
}

/// Calls the handler, whose work holds the permit and the bytes that are reserved for the body.
async fn call<T: 'static, S: Send + 'static, H: Handler<T, S>>(
    perimeter: &Perimeter,
    surface: &dyn Surface,
    handler: H,
    request: Request,
    (state, in_flight): (S, InFlightPermit),
) -> Response {
    let is_change = is_change(surface, request.method());
    let account = request.extensions().get::<Arc<BodyAccount>>().cloned();
    let work = async move {
        let response = handler.call(request, state).await;
        drop(account);
        hold(response, in_flight)
    };
    if !is_change {
        return work.await;
    }
    let finished = perimeter.app().kernel.work.finish("request", work).await;
    finished.unwrap_or_else(|| failed("the handler panicked, or the server stopped before it was done"))
}

fn after_panic(panic: &(dyn Any + Send)) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    failed(&format!("a panic: {}", message.unwrap_or("without a message")))
}

fn failed(cause: &str) -> Response {
    HttpError::from(Error::internal("the server could not answer this request", cause.to_owned())).into_response()
}

/// Renders an error as the surface does, and sets the headers of every response.
fn finish(surface: &dyn Surface, meta: &RequestMeta, mut response: Response) -> Response {
    if let Some(HttpError { error, status }) = response.extensions_mut().remove::<HttpError>() {
        if error.kind() == ErrorKind::Internal {
            tracing::error!(request.id = %meta.id, error = error.chain(), "a request failed");
        }
        response = surface.render_error(&error, meta);
        if let Some(status) = status {
            *response.status_mut() = status;
        }
    }
    let status = response.status();
    let headers = response.headers_mut();
    for (name, value) in &SECURITY_HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.entry(header::RETRY_AFTER).or_insert(RETRY_AFTER_SECONDS);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| surface.content_security_policy());
    let mut text = [0; 32];
    let text = meta.id.uuid().as_simple().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    response
}

fn log(route: &Route, surface: &dyn Surface, meta: &RequestMeta, response: &Response, latency_us: u64) {
    // The path of a request may hold a secret, also one that no route matches: a link that signs in, with a slash too
    // many. The path of its route holds none.
    let path = &route.path;
    let status = response.status().as_u16();
    let is_quiet = status < 500 && surface.is_prediction() || status < 400 && meta.method.is_safe();
    if is_quiet {
        tracing::debug!(request.id = %meta.id, http.method = %meta.method, http.route = path, http.status = status, latency_us, "request");
    } else {
        tracing::info!(request.id = %meta.id, http.method = %meta.method, http.route = path, http.status = status, latency_us, "request");
    }
}
