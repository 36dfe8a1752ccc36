//! The HTTP door: native, inference and MLflow-compatible routes over the use cases of `perennial_app`.
//!
//! [`router`] builds every route over an [`App`]; [`serve`] answers connections with it. Each
//! route is registered through [`Routes`], which asks for an [`Access`]: a route without one does
//! not compile. What happens around every handler (request id, host and origin, who calls, what
//! they may, errors, headers, metrics, log) stands in one place, `gate`.

mod access;
mod door;
mod error;
mod extract;
mod gate;
mod guard;
mod health;
mod inference;
mod metrics;
mod mlflow;
mod native;
mod openapi;
mod options;
mod routes;
mod serve;

use std::sync::Arc;

use perennial_app::App;

pub use access::Access;
pub use door::Door;
pub use error::{ApiError, Protocol};
pub use extract::{Body, On, Path, Query, Who};
pub use options::{Options, limits};
pub use perennial_core::site::SESSION_COOKIE;
pub use routes::Routes;
pub use serve::{Peer, serve};

/// Every route over `app`.
pub fn router(app: Arc<App>, options: Options) -> axum::Router {
    router_with(app, options, |routes| routes)
}

/// Every route over `app`, and those that `more` adds: pages, other protocols.
pub fn router_with(app: Arc<App>, options: Options, more: impl FnOnce(Routes) -> Routes) -> axum::Router {
    let routes = [health::routes, metrics::routes, native::routes, inference::routes, mlflow::routes]
        .into_iter()
        .fold(Routes::new(), |routes, add| add(routes));
    let routes = more(routes);
    let door = Door::new(app, options, &routes);
    routes.finish(door)
}
