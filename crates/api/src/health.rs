//! Whether this server is alive and ready: `/health`, `/ready`.

use axum::Json;
use axum::extract::State;
use perennial_core::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::access::Access;
use crate::door::Door;
use crate::error::ApiError;
use crate::routes::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/health", Access::Public, live).get("/ready", Access::Public, ready)
}

async fn live(State(door): State<Door>) -> Json<Value> {
    Json(json!({ "status": "alive", "version": door.0.app.services.version }))
}

async fn ready(State(door): State<Door>) -> Result<Json<Value>, ApiError> {
    is_ready(&door).await?;
    Ok(Json(json!({ "status": "ready" })))
}

/// Ready is whoever holds the lease on the metadata, and reads something of it.
pub(crate) async fn is_ready(door: &Door) -> Result<(), Error> {
    door.0.app.lease.require()?;
    let read = door.0.app.try_metadata().await;
    read.map_err(|cause| Error::new(ErrorCode::NotReady, "the metadata cannot be read").with_source(cause))
}
