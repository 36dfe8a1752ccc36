//! Registering JSON routes, the native ones together with their description.

use axum::handler::Handler;
use axum::routing::MethodFilter;
use perennial_http::{Access, Perimeter, Routes};

use crate::error::surface_of;
use crate::openapi::{Document, Documented};
use crate::state::ApiState;

/// The hint of a request that no route matches.
pub const NOT_FOUND_HINT: &str = "`/api/v1/openapi.json` lists the routes";

/// JSON routes being registered.
pub(crate) struct JsonRoutes {
    routes: Routes<ApiState>,
    document: Document,
}

impl JsonRoutes {
    pub(crate) fn new(perimeter: &Perimeter) -> Self {
        Self { routes: Routes::new(perimeter, surface_of), document: Document::default() }
    }

    /// Answers GET and HEAD at `path`.
    pub(crate) fn get<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.get(path, access, handler), ..self }
    }

    /// Answers POST at `path`.
    pub(crate) fn post<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.post(path, access, handler), ..self }
    }

    /// Answers PATCH at `path`.
    pub(crate) fn patch<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.patch(path, access, handler), ..self }
    }

    /// Answers PUT at `path`.
    pub(crate) fn put<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.put(path, access, handler), ..self }
    }

    /// Answers DELETE at `path`.
    pub(crate) fn delete<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.delete(path, access, handler), ..self }
    }

    /// Answers one method at `path`.
    pub(crate) fn method<T: 'static, H: Handler<T, ApiState>>(
        self,
        method: MethodFilter,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self {
        Self { routes: self.routes.method(method, path, access, handler), ..self }
    }

    /// Answers GET at `path`, which asks whether the server is alive, see [`Routes::liveness`].
    pub(crate) fn liveness<T: 'static, H: Handler<T, ApiState>>(self, path: &str, handler: H) -> Self {
        Self { routes: self.routes.liveness(path, handler), ..self }
    }

    /// Answers GET at `path`, which asks whether the server is ready, see [`Routes::probe`].
    pub(crate) fn probe<T: 'static, H: Handler<T, ApiState>>(self, path: &str, handler: H) -> Self {
        Self { routes: self.routes.probe(path, handler), ..self }
    }

    /// Answers GET at `path` with metrics, see [`Routes::scrape`].
    pub(crate) fn scrape<T: 'static, H: Handler<T, ApiState>>(self, path: &str, access: Access, handler: H) -> Self {
        Self { routes: self.routes.scrape(path, access, handler), ..self }
    }

    /// Answers a documented GET of the native routes that may wait, see [`Routes::long_poll`].
    pub(crate) fn long_poll<D: Documented, T: 'static, H: Handler<T, ApiState>>(
        mut self,
        access: Access,
        handler: H,
    ) -> Self {
        let (_, path) = self.document.add::<D>(access);
        self.routes = self.routes.long_poll(&path, access, handler);
        self
    }

    /// Answers a documented operation of the native routes; method and path are those of its description.
    pub(crate) fn operation<D: Documented, T: 'static, H: Handler<T, ApiState>>(
        mut self,
        access: Access,
        handler: H,
    ) -> Self {
        let (method, path) = self.document.add::<D>(access);
        self.routes = self.routes.method(method, &path, access, handler);
        self
    }

    /// The routes, with the state of their handlers.
    pub(crate) fn finish(self, perimeter: &Perimeter) -> Routes {
        self.routes.with_state(ApiState::new(perimeter, self.document))
    }
}
