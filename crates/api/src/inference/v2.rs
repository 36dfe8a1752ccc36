//! `/v2/models/{endpoint}/infer`.

use std::time::Instant;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, Result};
use perennial_http::body::{self, ContentEncoding};
use perennial_http::extract::Path;
use perennial_http::{HttpError, RequestStart, ResolvedEndpoint};
use perennial_release::endpoints::{self, Extra};

use super::offload::run_or_offload;
use super::outputs::{self, Written};
use super::wire;
use crate::state::ApiState;

/// Bytes of the JSON part, in requests and answers.
static JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

pub(super) async fn infer(
    State(state): State<ApiState>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
    Extension(id): Extension<RequestId>,
    Extension(RequestStart(began)): Extension<RequestStart>,
    request: Request,
) -> Result<Response, HttpError> {
    respond(&state, endpoint, None, (id, began), request).await
}

pub(super) async fn infer_version(
    State(state): State<ApiState>,
    Path((_, version)): Path<(String, String)>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
    Extension(id): Extension<RequestId>,
    Extension(RequestStart(began)): Extension<RequestStart>,
    request: Request,
) -> Result<Response, HttpError> {
    let version = super::version(&version)?;
    respond(&state, endpoint, Some(version), (id, began), request).await
}

async fn respond(
    state: &ApiState,
    endpoint: ResolvedEndpoint,
    version: Option<i64>,
    (id, began): (RequestId, Instant),
    request: Request,
) -> Result<Response, HttpError> {
    let bytes_max = super::find(state, &endpoint, super::body_bytes_max)?;
    let (parts, body) = request.into_parts();
    let (json_bytes, encoding) = (json_bytes(&parts.headers)?, ContentEncoding::of(&parts.headers)?);
    let body = body::read(&parts, body, bytes_max).await?;
    let app = state.app.clone();
    let written = run_or_offload(state, &parts, encoding.decompressed_bytes(&body), async move {
        let body = encoding.decompress(body, bytes_max)?;
        let mut request = wire::read(&body, json_bytes)?;
        let deployment = super::acquire(&app, &endpoint)?;
        outputs::validate(deployment.champion().model.signature(), request.wanted.as_deref())?;
        let inputs = std::mem::take(&mut request.inputs);
        let rows = inputs.rows();
        let asked = endpoints::Request { id, inputs, version, extra: Extra::Refuse, began };
        let answered = app.endpoints.answer(&deployment, asked).await?;
        Ok(outputs::write(&endpoint.asked, &id.to_string(), rows, &request, &answered))
    })
    .await?;
    Ok(into_response(written))
}

fn into_response(written: Written) -> Response {
    let body = Bytes::from(written.body);
    match written.json_bytes {
        None => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Some(length) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
                (JSON_BYTES.clone(), HeaderValue::from(length)),
            ];
            (headers, body).into_response()
        }
    }
}

/// Bytes of the JSON part; `None` when all of the body is JSON.
fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>> {
    let Some(value) = headers.get(&JSON_BYTES) else { return Ok(None) };
    let refused =
        |why: &str| Error::new(ErrorCode::InvalidArgument, format!("`Inference-Header-Content-Length` {why}"));
    let length = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| refused("is not a whole number"))?;
    if length == 0 {
        return Err(refused("is 0: a raw body without JSON is for models with one input")
            .with_hint("send the JSON part with the name of each input"));
    }
    Ok(Some(length))
}
