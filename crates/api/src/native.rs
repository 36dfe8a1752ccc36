//! Native routes, under `/api/v1`: one module a noun, one function a verb.

mod access;
mod alerts;
mod backup;
mod clock;
mod datasets;
mod endpoints;
mod held;
mod ledger;
mod lineage;
mod loads;
mod metadata;
mod models;
mod monitors;
mod pipeline_runs;
mod projects;
mod releases;
mod source_grants;
mod uploads;
mod wire;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::routes::JsonRoutes;
use crate::state::ApiState;
use perennial_http::Access;

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let all = [
        projects::routes,
        uploads::routes,
        pipeline_runs::routes,
        datasets::routes,
        loads::routes,
        models::routes,
        releases::routes,
        endpoints::routes,
        monitors::routes,
        alerts::routes,
        held::routes,
        ledger::routes,
        lineage::routes,
        clock::routes,
        access::routes,
        source_grants::routes,
        backup::routes,
        metadata::routes,
    ];
    let routes = all.into_iter().fold(routes, |routes, add| add(routes));
    routes.get("/api/v1/openapi.json", Access::Public, describe)
}

async fn describe(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.openapi.clone()).into_response()
}
