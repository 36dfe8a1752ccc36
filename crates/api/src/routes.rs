//! Registering routes: each with the access it asks for, or it does not compile.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use perennial_core::{Error, ErrorCode};
use tower::ServiceExt;

use crate::access::Access;
use crate::door::Door;
use crate::error::{ApiError, Protocol};
use crate::gate::Gated;
use crate::openapi::{Document, Documented};

/// Routes under way to a router.
#[derive(Default)]
pub struct Routes {
    router: axum::Router<Door>,
    registered: Vec<Arc<Route>>,
    document: Document,
}

/// One registered route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) access: Access,
    pub(crate) protocol: Protocol,
    /// Its place among the counters.
    pub(crate) place: usize,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Answers GET (and HEAD) at `path`.
    #[must_use]
    pub fn get<T: 'static, H: Handler<T, Door>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method("GET", path, access, handler)
    }

    /// Answers POST at `path`.
    #[must_use]
    pub fn post<T: 'static, H: Handler<T, Door>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method("POST", path, access, handler)
    }

    /// Answers PATCH at `path`.
    #[must_use]
    pub fn patch<T: 'static, H: Handler<T, Door>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method("PATCH", path, access, handler)
    }

    /// Answers PUT at `path`.
    #[must_use]
    pub fn put<T: 'static, H: Handler<T, Door>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method("PUT", path, access, handler)
    }

    /// Answers DELETE at `path`.
    #[must_use]
    pub fn delete<T: 'static, H: Handler<T, Door>>(self, path: &str, access: Access, handler: H) -> Self {
        self.method("DELETE", path, access, handler)
    }

    /// Answers by a route of another crate at `path` (its methods are its own). The caller, the
    /// project and the session are in the request's extensions as [`crate::Who`] and [`crate::On`] read them.
    #[must_use]
    pub fn page(self, path: &str, access: Access, pages: MethodRouter) -> Self {
        let handler = move |request: Request| {
            let pages = pages.clone();
            async move {
                match pages.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never as Infallible {},
                }
            }
        };
        let route = self.route("ANY", path, access, Protocol::Page);
        let Self { router, mut registered, document } = self;
        registered.push(route.clone());
        Self { router: router.route(path, axum::routing::any(Gated::new(route, handler))), registered, document }
    }

    /// Answers a documented operation of the native routes; method and path are those of its description.
    #[must_use]
    pub(crate) fn operation<D: Documented, T: 'static, H: Handler<T, Door>>(
        mut self,
        access: Access,
        handler: H,
    ) -> Self {
        let (method, path) = self.document.add::<D>(access);
        self.method(method, &path, access, handler)
    }

    fn method<T: 'static, H: Handler<T, Door>>(
        self,
        method: &'static str,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        let route = self.route(method, path, access, Protocol::of(path));
        let filter = Method::from_bytes(method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok());
        debug_assert!(filter.is_some(), "the methods are written above");
        let filter = filter.unwrap_or(MethodFilter::GET);
        let Self { router, mut registered, document } = self;
        registered.push(route.clone());
        Self { router: router.route(path, on(filter, Gated::new(route, handler))), registered, document }
    }

    fn route(&self, method: &'static str, path: &str, access: Access, protocol: Protocol) -> Arc<Route> {
        Arc::new(Route { method, path: path.to_owned(), access, protocol, place: self.registered.len() })
    }

    pub(crate) fn registered(&self) -> &[Arc<Route>] {
        &self.registered
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// The router, with answers for what no route takes.
    pub(crate) fn finish(self, door: Door) -> axum::Router {
        let elsewhere = |path: &str| {
            Arc::new(Route {
                method: "ANY",
                path: path.to_owned(),
                access: Access::Public,
                protocol: Protocol::Native,
                place: self.registered.len(),
            })
        };
        let (nowhere, no_method) = (elsewhere("unknown"), elsewhere("wrong method"));
        self.router
            .method_not_allowed_fallback(Gated::new(no_method, wrong_method))
            .fallback(Gated::new(nowhere, not_found))
            .with_state(door)
    }
}

async fn not_found(request: Request) -> ApiError {
    Error::not_found("route", request.uri().path().escape_debug())
        .with_hint("`/api/v1/openapi.json` lists the routes")
        .into()
}

async fn wrong_method(request: Request) -> axum::response::Response {
    let message = format!("`{}` is not answered at `{}`", request.method(), request.uri().path().escape_debug());
    let mut response = ApiError::from(Error::new(ErrorCode::InvalidArgument, message)).into_response();
    *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
    response
}
