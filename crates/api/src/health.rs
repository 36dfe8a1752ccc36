//! Whether this server is alive and ready: `/health`, `/ready`.

use axum::Json;
use axum::extract::State;
use perennial_core::{Error, ErrorCode};
use perennial_http::HttpError;
use serde_json::{Value, json};

use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes.liveness("/health", alive).probe("/ready", ready)
}

async fn alive(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({ "status": "alive", "version": state.app.kernel.services.version }))
}

async fn ready(State(state): State<ApiState>) -> Result<Json<Value>, HttpError> {
    require_ready(&state).await?;
    Ok(Json(json!({ "status": "ready" })))
}

/// A server is ready while it holds the lease on the metadata, can read them, and every endpoint with a champion answers.
/// The probe is public: it counts endpoints and names none.
pub(crate) async fn require_ready(state: &ApiState) -> Result<(), Error> {
    state.app.kernel.lease.require()?;
    let read = state.app.kernel.try_metadata().await;
    read.map_err(|cause| Error::new(ErrorCode::NotReady, "the metadata cannot be read").with_source(cause))?;
    match state.app.endpoints.unready() {
        0 => Ok(()),
        unready => Err(Error::new(ErrorCode::NotReady, format!("endpoints that cannot answer: {unready}"))
            .with_hint("`perennial endpoints` shows the cause of each")),
    }
}
