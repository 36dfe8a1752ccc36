//! MLflow's tracking API: `/api/2.0/mlflow`, `/api/2.0/mlflow-artifacts`, and the same routes below `/ajax-api`.
//!
//! Every route requires an authenticated caller. The paths name no project, so each use case authorizes the access to
//! its project, experiment or run. Fields are parsed as MLflow's clients write them ([`fields::Fields`]); an unset value
//! is absent from a response, never null.

mod artifacts;
mod experiments;
mod fields;
mod files;
mod metrics;
mod runs;
mod wire;

use axum::Json;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use crate::routes::JsonRoutes;
use crate::state::ApiState;
use perennial_http::extract::CurrentCaller;
use perennial_http::{Access, HttpError};

/// What every handler answers with.
type Answer = Result<Json<Value>, HttpError>;

/// Where the routes stand: for clients, and for pages of MLflow's own kind.
const ROOTS: [&str; 2] = ["/api", "/ajax-api"];

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    ROOTS.into_iter().fold(routes, |routes, root| {
        let below = |path: &str| format!("{root}/2.0/mlflow/{path}");
        let routes = experiments::routes(routes, &below);
        let routes = runs::routes(routes, &below);
        let routes = metrics::routes(routes, &below);
        let routes = artifacts::routes(routes, &below);
        let routes = files::routes(routes, &format!("{root}/2.0/mlflow-artifacts/artifacts"));
        let routes = routes.post(&below("logged-models/search"), Access::Authenticated, no_logged_models).get(
            &format!("{root}/3.0/mlflow/server-info"),
            Access::Authenticated,
            server_info,
        );
        let routes = everywhere(routes, &below("{*rest}"), unknown);
        everywhere(routes, &format!("{root}/3.0/mlflow/{{*rest}}"), unknown)
    })
}

fn everywhere<T: 'static, H: Handler<T, ApiState>>(routes: JsonRoutes, path: &str, handler: H) -> JsonRoutes {
    routes
        .get(path, Access::Authenticated, handler.clone())
        .post(path, Access::Authenticated, handler.clone())
        .patch(path, Access::Authenticated, handler.clone())
        .put(path, Access::Authenticated, handler.clone())
        .delete(path, Access::Authenticated, handler)
}

/// What this server does of what clients ask before they do it.
async fn server_info(_: CurrentCaller) -> Json<Value> {
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": {},
    }))
}

/// Models are registered, not logged on their own; clients that list the artifacts of a run ask for such, too.
async fn no_logged_models(_: CurrentCaller) -> Json<Value> {
    Json(json!({}))
}

/// What clients take for a server without that part of the API.
async fn unknown(uri: Uri) -> Response {
    let message = format!("`{}` is not part of the API of this server", uri.path().escape_debug());
    (StatusCode::NOT_FOUND, Json(json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": message }))).into_response()
}
