//! Registering routes: each with the access it requires, or it does not compile.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use http::StatusCode;
use perennial_core::{Error, ErrorCode};

use crate::admission::RequestClass;
use crate::authorization::Access;
use crate::error::HttpError;
use crate::metrics::RouteMetrics;
use crate::middleware::Instrumented;
use crate::perimeter::Perimeter;
use crate::surface::{Surface, SurfaceOf};

/// The label of requests that no route matches, or not with their method.
const UNMATCHED: &str = "unknown";

/// Routes behind a perimeter, whose handlers take the state `S`.
pub struct Routes<S = ()> {
    perimeter: Perimeter,
    surface_of: SurfaceOf,
    router: axum::Router<S>,
}

/// A registered route.
pub(crate) struct Route {
    /// Its path, parameters in braces.
    pub(crate) path: String,
    /// What it requires of its caller.
    pub(crate) access: Access,
    /// The limit that its requests share.
    pub(crate) class: RequestClass,
    /// Counts and times its requests.
    pub(crate) metrics: RouteMetrics,
    /// `None` for requests that no route matches: they are answered as their path's surface does.
    surface: Option<&'static dyn Surface>,
    surface_of: SurfaceOf,
}

impl Route {
    /// The surface that answers at `path`.
    pub(crate) fn surface(&self, path: &str) -> &'static dyn Surface {
        self.surface.unwrap_or_else(|| (self.surface_of)(path))
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet. `surface_of` chooses the surface of each by its path.
    pub fn new(perimeter: &Perimeter, surface_of: SurfaceOf) -> Self {
        Self { perimeter: perimeter.clone(), surface_of, router: axum::Router::new() }
    }

    /// Answers GET and HEAD at `path`.
    #[must_use]
    pub fn get<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method(MethodFilter::GET, path, access, handler)
    }

    /// Answers POST at `path`.
    #[must_use]
    pub fn post<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method(MethodFilter::POST, path, access, handler)
    }

    /// Answers PATCH at `path`.
    #[must_use]
    pub fn patch<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method(MethodFilter::PATCH, path, access, handler)
    }

    /// Answers PUT at `path`.
    #[must_use]
    pub fn put<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method(MethodFilter::PUT, path, access, handler)
    }

    /// Answers DELETE at `path`.
    #[must_use]
    pub fn delete<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method(MethodFilter::DELETE, path, access, handler)
    }

    /// Answers GET at `path`, which asks whether the server is alive: in any case, by a handler that waits for nothing.
    #[must_use]
    pub fn liveness<T: 'static, H: Handler<T, S>>(self, path: &str, handler: H) -> Self {
        self.add(MethodFilter::GET, path, Access::Public, RequestClass::Liveness, handler)
    }

    /// Answers GET at `path`, which asks whether the server is ready: even when it is too busy for other requests.
    #[must_use]
    pub fn probe<T: 'static, H: Handler<T, S>>(self, path: &str, handler: H) -> Self {
        self.add(MethodFilter::GET, path, Access::Public, RequestClass::Probe, handler)
    }

    /// Answers GET at `path` with metrics, even when the server is too busy for other requests.
    #[must_use]
    pub fn scrape<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.add(MethodFilter::GET, path, access, RequestClass::Scrape, handler)
    }

    /// Answers GET at `path` with a handler that may wait for an event.
    #[must_use]
    pub fn long_poll<T: 'static, H: Handler<T, S>>(self, path: &str, access: Access, handler: H) -> Self {
        self.add(MethodFilter::GET, path, access, RequestClass::LongPoll, handler)
    }

    /// Answers one method at `path`.
    #[must_use]
    pub fn method<T: 'static, H: Handler<T, S>>(
        self,
        method: MethodFilter,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add(method, path, access, RequestClass::Ordinary, handler)
    }

    fn add<T: 'static, H: Handler<T, S>>(
        self,
        method: MethodFilter,
        path: &str,
        access: Access,
        class: RequestClass,
        handler: H,
    ) -> Self {
        let Self { perimeter, surface_of, router } = self;
        let route = Route {
            path: path.to_owned(),
            access,
            class,
            metrics: perimeter.metrics().route(method_name(method), path),
            surface: Some(surface_of(path)),
            surface_of,
        };
        let instrumented = Instrumented::new(perimeter.clone(), Arc::new(route), handler);
        Self { router: router.route(path, on(method, instrumented)), perimeter, surface_of }
    }

    /// The routes, once their handlers have the state they take.
    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        let Self { perimeter, surface_of, router } = self;
        Routes { router: router.with_state(state), perimeter, surface_of }
    }
}

impl Routes {
    /// These routes and those of another surface.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { router: self.router.merge(other.router), ..self }
    }

    /// The router. Requests that no route matches get `not_found_hint`.
    pub fn into_router(self, not_found_hint: &'static str) -> axum::Router {
        let Self { perimeter, surface_of, router } = self;
        let route = Arc::new(Route {
            path: UNMATCHED.to_owned(),
            access: Access::Public,
            class: RequestClass::Ordinary,
            metrics: perimeter.metrics().route("ANY", UNMATCHED),
            surface: None,
            surface_of,
        });
        let not_found = move |request: Request| async move {
            let path = request.uri().path().escape_debug();
            HttpError::from(Error::not_found("route", path).with_hint(not_found_hint))
        };
        router
            .method_not_allowed_fallback(Instrumented::new(perimeter.clone(), route.clone(), method_not_allowed))
            .fallback(Instrumented::new(perimeter, route, not_found))
    }
}

async fn method_not_allowed(request: Request) -> HttpError {
    let (method, path) = (request.method(), request.uri().path().escape_debug());
    let error = Error::new(ErrorCode::InvalidArgument, format!("method `{method}` is not allowed at `{path}`"));
    HttpError::with_status(error, StatusCode::METHOD_NOT_ALLOWED)
}

fn method_name(method: MethodFilter) -> &'static str {
    match method {
        MethodFilter::POST => "POST",
        MethodFilter::PUT => "PUT",
        MethodFilter::PATCH => "PATCH",
        MethodFilter::DELETE => "DELETE",
        _ => "GET",
    }
}
