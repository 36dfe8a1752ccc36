//! MLflow's scoring protocol: `/projects/{project}/endpoints/{endpoint}/invocations`, or without the project.

pub(super) mod payload;
mod table;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use perennial_core::Result;
use perennial_core::id::RequestId;
use perennial_core::task::TaskKind;
use perennial_http::body::{self, ContentEncoding};
use perennial_http::{HttpError, RequestStart, ResolvedEndpoint};
use perennial_release::endpoints::{self, Answer, Extra};

use super::offload::run_or_offload;
use super::outputs::{best, class, class_list, is_yes, number};
use crate::state::ApiState;

/// The MLflow version whose protocol this is; clients require at least 2.
const MLFLOW_VERSION: &str = "3.17.2";

/// The version that answered.
static MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");

pub(super) async fn ping(
    State(state): State<ApiState>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
) -> Result<Response, HttpError> {
    super::find(&state, &endpoint, |_| ())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], "\n").into_response())
}

pub(super) async fn version() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], MLFLOW_VERSION).into_response()
}

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Csv,
}

/// The media type of a request, or the answer that refuses it. Without one it is read as JSON.
fn media(headers: &HeaderMap) -> Result<Media, Box<Response>> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Media::Json) };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = parts.all(|parameter| parameter.to_ascii_lowercase().replace(['"', ' '], "") == "charset=utf-8");
    match kind.as_str() {
        "application/json" if is_utf8 => Ok(Media::Json),
        "text/csv" if is_utf8 => Ok(Media::Csv),
        _ => {
            let why =
                format!("`{}` is not taken here: send `application/json` or `text/csv`, in UTF-8", text.escape_debug());
            Err(Box::new((StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response()))
        }
    }
}

pub(super) async fn invocations(
    State(state): State<ApiState>,
    Extension(endpoint): Extension<ResolvedEndpoint>,
    Extension(id): Extension<RequestId>,
    Extension(RequestStart(began)): Extension<RequestStart>,
    request: Request,
) -> Result<Response, HttpError> {
    let bytes_max = super::find(&state, &endpoint, super::body_bytes_max)?;
    let (parts, body) = request.into_parts();
    let media = match media(&parts.headers) {
        Ok(media) => media,
        Err(refused) => return Ok(*refused),
    };
    let encoding = ContentEncoding::of(&parts.headers)?;
    let body = body::read(&parts, body, bytes_max).await?;
    let app = state.app.clone();
    let answered = run_or_offload(&state, &parts, encoding.decompressed_bytes(&body), async move {
        let body = encoding.decompress(body, bytes_max)?;
        let deployment = super::acquire(&app, &endpoint)?;
        let inputs = match media {
            Media::Json => payload::read(&payload::quoted(&body)?)?.fit(|name| deployment.input(name))?,
            Media::Csv => payload::read_csv(&body)?.fit(|name| deployment.input(name))?,
        };
        let rows = inputs.rows();
        let asked = endpoints::Request { id, inputs, version: None, extra: Extra::Drop, began };
        let answered = app.endpoints.answer(&deployment, asked).await?;
        Ok((write(&answered, rows), answered.version))
    });
    let (body, version) = answered.await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (MODEL_VERSION.clone(), HeaderValue::from(version)),
    ];
    Ok((headers, Bytes::from(body)).into_response())
}

/// `{"predictions": […]}`: numbers for regression, else one object a row with the columns of the outputs. The classes of
/// the probabilities follow.
fn write(answer: &Answer, rows: usize) -> Vec<u8> {
    let mut json = Vec::with_capacity(32 + rows * 48);
    json.extend_from_slice(b"{\"predictions\":[");
    for row in 0..rows {
        if row > 0 {
            json.push(b',');
        }
        let scores = answer.scores.row(row);
        match answer.signature.task {
            TaskKind::Regression => number(&mut json, scores.first().copied().unwrap_or(f64::NAN)),
            TaskKind::Binary => {
                json.extend_from_slice(if is_yes(scores) {
                    b"{\"label\":1,\"probability\":"
                } else {
                    b"{\"label\":0,\"probability\":"
                });
                number(&mut json, scores.first().copied().unwrap_or(f64::NAN));
                json.push(b'}');
            }
            TaskKind::Multiclass => {
                json.extend_from_slice(b"{\"label\":");
                class(&mut json, &answer.signature, best(scores));
                json.extend_from_slice(b",\"probabilities\":[");
                for (place, score) in scores.iter().enumerate() {
                    if place > 0 {
                        json.push(b',');
                    }
                    number(&mut json, *score);
                }
                json.extend_from_slice(b"]}");
            }
        }
    }
    json.push(b']');
    if answer.signature.task == TaskKind::Multiclass {
        json.extend_from_slice(b",\"classes\":");
        class_list(&mut json, &answer.signature);
    }
    json.push(b'}');
    json
}
