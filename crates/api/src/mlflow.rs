//! MLflow's tracking API: `/api/2.0/mlflow`, `/api/2.0/mlflow-artifacts`, and the same routes below `/ajax-api`.
//!
//! `definitions` declares every call: methods, path, fields of the request and of the answer. `message` reads and writes
//! them by MLflow's rules; the other modules have the handlers. Every route requires credentials; the use cases check
//! which project, experiment or run the caller may read or write, because the paths name none.

mod artifacts;
mod call;
mod convert;
mod definitions;
mod experiments;
mod files;
pub mod fuzz;
mod message;
mod metrics;
mod request;
mod runs;
mod server;

use axum::Json;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use perennial_http::Access;
use serde_json::json;

pub use call::{Call, Method};
pub use definitions::calls;
pub use message::{FieldSpec, Kind};

use crate::routes::JsonRoutes;
use crate::state::ApiState;
use call::{CallRoutes, ROOTS};

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let all = [experiments::routes, runs::routes, metrics::routes, artifacts::routes, files::routes, server::routes];
    let routes = all.into_iter().fold(CallRoutes::new(routes), |routes, add| add(routes)).finish();
    ROOTS.into_iter().fold(routes, |routes, root| {
        let routes = every_method(routes, &format!("{root}/2.0/mlflow/{{*rest}}"), unknown);
        every_method(routes, &format!("{root}/3.0/mlflow/{{*rest}}"), unknown)
    })
}

fn every_method<T: 'static, H: Handler<T, ApiState>>(routes: JsonRoutes, path: &str, handler: H) -> JsonRoutes {
    routes
        .get(path, Access::Authenticated, handler.clone())
        .post(path, Access::Authenticated, handler.clone())
        .patch(path, Access::Authenticated, handler.clone())
        .put(path, Access::Authenticated, handler.clone())
        .delete(path, Access::Authenticated, handler)
}

/// The error by which clients recognize that a server lacks a part of the API.
async fn unknown(uri: Uri) -> Response {
    let message = format!("`{}` is not part of the API of this server", uri.path().escape_debug());
    (StatusCode::NOT_FOUND, Json(json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": message }))).into_response()
}
