//! Requests about the server and its models: health, model metadata, the index of the repository.

use axum::Json;
use axum::extract::{Extension, State};
use perennial_core::Result;
use perennial_core::model::{InputKind, InputTime, Signature};
use perennial_core::name::EndpointName;
use perennial_core::permission::Permission;
use perennial_core::task::TaskKind;
use perennial_http::extract::{CurrentCaller, Path};
use perennial_http::{Access, HttpError, ResolvedEndpoint};
use perennial_release::Deployment;
use serde_json::{Value, json};

use super::{find, outputs, version};
use crate::health::require_ready;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

/// How a model is named by what it is kept as.
const PLATFORM: &str = "onnx_onnxv1";

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let ask = Access::Endpoint(Permission::Read);
    routes
        .get("/v2", Access::Authenticated, server)
        .get("/v2/", Access::Authenticated, server)
        .liveness("/v2/health/live", live)
        .probe("/v2/health/ready", ready)
        .get("/v2/models/{endpoint}", ask, model)
        .get("/v2/models/{endpoint}/versions/{version}", ask, model_version)
        .get("/v2/models/{endpoint}/ready", ask, model_ready)
        .get("/v2/models/{endpoint}/versions/{version}/ready", ask, version_ready)
        .post("/v2/repository/index", Access::Authenticated, index)
}

async fn server(State(state): State<ApiState>) -> Json<Value> {
    Json(
        json!({ "name": "perennial", "version": state.app.kernel.services.version, "extensions": ["binary_tensor_data", "classification", "model_repository"] }),
    )
}

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(state): State<ApiState>) -> Result<Json<Value>, HttpError> {
    require_ready(&state).await?;
    Ok(Json(json!({ "live": true, "ready": true })))
}

async fn model(
    State(state): State<ApiState>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
) -> Result<Json<Value>, HttpError> {
    Ok(Json(describe(&state, &endpoint, None)?))
}

async fn model_version(
    State(state): State<ApiState>,
    Path((_, number)): Path<(String, String)>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
) -> Result<Json<Value>, HttpError> {
    Ok(Json(describe(&state, &endpoint, Some(version(&number)?))?))
}

async fn model_ready(
    State(state): State<ApiState>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
) -> Result<Json<Value>, HttpError> {
    find(&state, &endpoint, |_| ())?;
    Ok(Json(json!({ "name": endpoint.asked, "ready": true })))
}

async fn version_ready(
    State(state): State<ApiState>,
    Path((_, number)): Path<(String, String)>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
) -> Result<Json<Value>, HttpError> {
    describe(&state, &endpoint, Some(version(&number)?))?;
    Ok(Json(json!({ "name": endpoint.asked, "version": number, "ready": true })))
}

fn describe(state: &ApiState, endpoint: &ResolvedEndpoint, number: Option<i64>) -> Result<Value> {
    find(state, endpoint, |deployment| metadata(deployment, &endpoint.asked, number))?
}

fn metadata(deployment: &Deployment, name: &str, number: Option<i64>) -> Result<Value> {
    let answering = match number {
        None => deployment.champion(),
        Some(number) => {
            let found = deployment.routes.find(number).map(|route| &route.version);
            found.ok_or_else(|| perennial_core::Error::not_found("version of endpoint", format!("{name}/{number}")))?
        }
    };
    let versions: Vec<String> = deployment.routes.iter().map(|route| route.version.number.to_string()).collect();
    let signature = answering.model.signature();
    let inputs = signature.inputs.iter().map(|input| {
        let datatype = match input.kind {
            InputKind::Number => "FP64",
            InputKind::Text => "BYTES",
        };
        let mut described = json!({ "name": input.name, "datatype": datatype, "shape": [-1] });
        // A time is a number of epoch seconds, or a text of the datatype BYTES.
        if let Some(time) = input.time {
            described["parameters"] = parameters_of(time);
        }
        described
    });
    let key: Vec<&str> = deployment.key.iter().map(|key| key.name.as_str()).collect();
    let mut properties = json!({ "version": answering.number, "key": key });
    let key_times = deployment.key.iter().filter_map(|key| Some((key.name.clone(), parameters_of(key.time?))));
    let key_times: serde_json::Map<String, Value> = key_times.collect();
    if !key_times.is_empty() {
        properties["key_times"] = key_times.into();
    }
    if signature.task == TaskKind::Multiclass {
        properties["classes"] = classes_of(signature);
    }
    Ok(json!({
        "name": name,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": outputs_of(signature),
        "properties": properties,
    }))
}

/// How a request may have a time.
fn parameters_of(time: InputTime) -> Value {
    json!({ "time": time, "unit": "epoch seconds", "text": time.example() })
}

/// The classes in the order of the probabilities, in the type of the outcomes.
fn classes_of(signature: &Signature) -> Value {
    let mut json = Vec::new();
    outputs::class_list(&mut json, signature);
    serde_json::from_slice(&json).unwrap_or_default()
}

fn outputs_of(signature: &Signature) -> Vec<Value> {
    let shape = |kind| match (kind, signature.task) {
        (outputs::Kind::Scores, TaskKind::Multiclass) => json!([-1, signature.width()]),
        _ => json!([-1]),
    };
    outputs::of(signature)
        .iter()
        .map(|output| json!({ "name": output.name, "datatype": output.datatype, "shape": shape(output.kind) }))
        .collect()
}

/// Every endpoint the caller may ask; its body is empty or says `ready`, which all of these are. A name that several of
/// the caller's projects use is listed with its project.
async fn index(State(state): State<ApiState>, CurrentCaller { caller }: CurrentCaller) -> Json<Vec<Value>> {
    let router = &state.app.endpoints.router;
    let mut readable = router.endpoints();
    readable.retain(|(project, _)| caller.principal.may(Permission::Read, Some(*project)));
    let is_unique = |name: &EndpointName| readable.iter().filter(|(_, other)| other == name).count() == 1;
    let listed = readable.iter().filter_map(|(project, name)| {
        let deployment = router.find_in(*project, name.as_str())?;
        let shown = if is_unique(name) { name.to_string() } else { format!("{}.{name}", deployment.project.name) };
        let version = deployment.champion().number.to_string();
        Some(json!({ "name": shown, "version": version, "state": "READY", "reason": "" }))
    });
    Json(listed.collect())
}
