//! JSON over HTTP: native, inference and MLflow-compatible routes over the slices.
//!
//! [`routes`] registers every route behind a [`Perimeter`], which does what happens around every handler. This crate
//! has what is JSON: how each protocol renders errors ([`Protocol`]), bodies, and the OpenAPI description.

mod error;
mod extract;
mod health;
mod inference;
mod json;
pub mod limits;
mod metrics;
pub mod mlflow;
mod native;
mod openapi;
mod routes;
mod state;

use std::sync::Arc;

use perennial_http::Slices;
use perennial_http::{Options, Perimeter, Routes};

pub use error::{Protocol, surface_of};
pub use inference::fuzz;
pub use routes::NOT_FOUND_HINT;

/// Every JSON route.
pub fn routes(perimeter: &Perimeter) -> Routes {
    let all = [health::routes, metrics::routes, native::routes, inference::routes, mlflow::routes];
    perimeter.metrics().register(metrics::AppMetrics::new(perimeter.app()));
    let routes = all.into_iter().fold(routes::JsonRoutes::new(perimeter), |routes, add| add(routes));
    routes.finish(perimeter)
}

/// The JSON routes of `app` alone.
pub fn router(app: Arc<Slices>, options: Options) -> axum::Router {
    routes(&Perimeter::new(app, options)).into_router(NOT_FOUND_HINT)
}
