//! `/v2/models/{endpoint}/infer`.

use std::time::Instant;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use perennial_app::endpoints::{self, Extra};
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, Result};

use super::decode::{decode, encoding};
use super::outputs::{self, Written};
use super::run::run;
use super::wire;
use crate::door::Door;
use crate::error::ApiError;
use crate::extract::{self, Path};
use crate::gate::{Began, Id};

/// Bytes of the JSON part, in requests and answers.
static JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

pub(super) async fn infer(
    State(door): State<Door>,
    Path(name): Path<String>,
    Extension(Id(id)): Extension<Id>,
    Extension(Began(began)): Extension<Began>,
    request: Request,
) -> Result<Response, ApiError> {
    Ok(respond(&door, name, None, (id, began), request).await?)
}

pub(super) async fn infer_version(
    State(door): State<Door>,
    Path((name, version)): Path<(String, String)>,
    Extension(Id(id)): Extension<Id>,
    Extension(Began(began)): Extension<Began>,
    request: Request,
) -> Result<Response, ApiError> {
    let version = super::version(&version)?;
    Ok(respond(&door, name, Some(version), (id, began), request).await?)
}

async fn respond(
    door: &Door,
    name: String,
    version: Option<i64>,
    (id, began): (RequestId, Instant),
    request: Request,
) -> Result<Response> {
    let (bytes_max, may_wait) = super::find(door, &name, super::bounds).await?;
    let (parts, body) = request.into_parts();
    let (json_bytes, encoding) = (json_bytes(&parts.headers)?, encoding(&parts.headers)?);
    let body = extract::read(&parts.headers, body, bytes_max).await?;
    let app = door.0.app.clone();
    let (written, unsynced) = run(door, encoding.bytes(&body), may_wait, move || {
        let body = decode(encoding, body, bytes_max)?;
        let mut request = wire::read(&body, json_bytes)?;
        let deployment = super::held(&app, &name)?;
        outputs::judge(deployment.champion.model.signature(), request.wanted.as_deref())?;
        let inputs = std::mem::take(&mut request.inputs);
        let rows = inputs.rows();
        let asked = endpoints::Request { id, inputs, version, extra: Extra::Refuse, began };
        let mut answered = app.endpoints.answer(&deployment, asked)?;
        let unsynced = answered.unsynced.take();
        Ok((outputs::write(&name, &id.to_string(), rows, &request, &answered), unsynced))
    })
    .await?;
    door.0.app.endpoints.sync(unsynced).await?;
    Ok(told(written))
}

fn told(written: Written) -> Response {
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
    let length =
        value.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| refused("is no whole number"))?;
    if length == 0 {
        return Err(refused("is 0: a raw body without JSON is for models with one input")
            .with_hint("send the JSON part with the name of each input"));
    }
    Ok(Some(length))
}
