//! Native routes, under `/api/v1`: one module a noun, one function a verb.

mod access;
mod alerts;
mod backup;
mod clock;
mod datasets;
mod endpoints;
mod ledger;
mod lineage;
mod loads;
mod models;
mod monitors;
mod pipeline_runs;
mod projects;
mod releases;
mod sent;
mod wire;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::access::Access;
use crate::door::Door;
use crate::routes::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    let all = [
        projects::routes,
        sent::routes,
        pipeline_runs::routes,
        datasets::routes,
        loads::routes,
        models::routes,
        releases::routes,
        endpoints::routes,
        monitors::routes,
        alerts::routes,
        ledger::routes,
        lineage::routes,
        clock::routes,
        access::routes,
        backup::routes,
    ];
    let routes = all.into_iter().fold(routes, |routes, add| add(routes));
    routes.get("/api/v1/openapi.json", Access::Public, describe)
}

async fn describe(State(door): State<Door>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], door.0.openapi.clone()).into_response()
}
