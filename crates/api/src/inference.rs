//! Requests to endpoints: the Open Inference Protocol at `/v2`, MLflow's scoring at `/projects/{project}/endpoints/{name}` and,
//! where the name is unique, at `/endpoints/{name}`. In `/v2` a model is called `name` or `project.name`.
//!
//! Both make one `Frame` of columns and call the same use case; what differs is how columns are
//! written and how errors are rendered.

mod binary;
mod data;
pub mod fuzz;
mod metadata;
mod offload;
mod outputs;
mod scoring;
mod tensor;
mod v2;
mod wire;

use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_http::{Access, ResolvedEndpoint, Slices};
use perennial_release::{Deployment, DeploymentGuard, deployments};

use crate::limits;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(crate) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let ask = Access::Endpoint(Permission::Read);
    let routes = metadata::routes(routes);
    routes
        .post("/v2/models/{endpoint}/infer", ask, v2::infer)
        .post("/v2/models/{endpoint}/versions/{version}/infer", ask, v2::infer_version)
        .post("/endpoints/{endpoint}/invocations", ask, scoring::invocations)
        .get("/endpoints/{endpoint}/ping", ask, scoring::ping)
        .get("/endpoints/{endpoint}/health", ask, scoring::ping)
        .get("/endpoints/{endpoint}/version", ask, scoring::version)
        .post("/projects/{project}/endpoints/{endpoint}/invocations", ask, scoring::invocations)
        .get("/projects/{project}/endpoints/{endpoint}/ping", ask, scoring::ping)
        .get("/projects/{project}/endpoints/{endpoint}/health", ask, scoring::ping)
        .get("/projects/{project}/endpoints/{endpoint}/version", ask, scoring::version)
        .get("/version", Access::Public, scoring::version)
}

/// Reads the deployment of an endpoint. Authorization has found the endpoint: one without a deployment is not ready.
fn find<T>(state: &ApiState, endpoint: &ResolvedEndpoint, read: impl FnOnce(&Deployment) -> T) -> Result<T> {
    let endpoints = &state.app.endpoints;
    let deployment = endpoints.router.find_in(endpoint.project, &endpoint.name).ok_or_else(|| {
        let fault = endpoint.name.parse().ok().and_then(|name| endpoints.fault(endpoint.project, &name));
        let cause = fault.as_ref().map_or("its model is not loaded yet", |fault| fault.message.as_str());
        Error::new(ErrorCode::NotReady, format!("endpoint `{}` is not ready: {cause}", endpoint.asked))
            .with_optional_hint(fault.as_ref().and_then(|fault| fault.hint.clone()))
    })?;
    Ok(read(&deployment))
}

/// The deployment of an endpoint, held until the request is answered.
fn acquire(app: &Slices, endpoint: &ResolvedEndpoint) -> Result<DeploymentGuard> {
    let deployment = app.endpoints.router.find_in(endpoint.project, &endpoint.name);
    deployment.ok_or_else(|| deployments::missing(&endpoint.asked))
}

/// Size limit of a request at the endpoint, bytes.
fn body_bytes_max(deployment: &Deployment) -> usize {
    let bytes_max = usize::try_from(deployment.body_bytes_max).unwrap_or(usize::MAX);
    bytes_max.min(limits::INFER_BYTES_MAX)
}

/// Parses the number of a version; text that is not a number is an unknown version.
fn version(text: &str) -> Result<i64> {
    text.parse().map_err(|_| Error::not_found("version", text.escape_debug()))
}
