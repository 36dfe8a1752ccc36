//! Requests of MLflow's API: the query of GET, the JSON body of other methods, also a body encoded twice.

use axum::extract::{FromRequest, Request};
use http::{Method, header};
use perennial_core::Result;
use perennial_http::{HttpError, body};
use serde_json::{Map, Value};

use super::message::{Json, Message, refused};
use crate::state::ApiState;

/// Bytes of a JSON body: a batch at its limits with every character escaped.
const BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// The message of a request.
pub(super) struct Received<T>(
    /// The message.
    pub(super) T,
);

impl<T: Message + Send + 'static> FromRequest<ApiState> for Received<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET || parts.method == Method::HEAD {
            return Ok(Self(parse_query(&parts.uri)?));
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let message =
                format!("Bad Request. Content-Type must be application/json, this one is `{}`", kind.escape_debug());
            return Err(refused(message).into());
        }
        let bytes = body::read(&parts, body, BODY_BYTES_MAX).await?;
        Ok(Self(body::parse(bytes, parse_body).await?))
    }
}

/// Reads the parameters of a query; one that is repeated is a list.
fn parse_query<T: Message>(uri: &http::Uri) -> Result<T> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|cause| refused(format!("cannot parse the query: {cause}")))?;
    let mut values = Map::new();
    for (key, value) in pairs.0 {
        match values.get_mut(&key) {
            None => drop(values.insert(key, value.into())),
            Some(Value::Array(list)) => list.push(value.into()),
            Some(one) => *one = Value::Array(vec![one.take(), value.into()]),
        }
    }
    parse_body(Value::Object(values).to_string().as_bytes())
}

/// Reads the object of a body; an empty body is an empty object.
pub(super) fn parse_body<T: Message>(bytes: &[u8]) -> Result<T> {
    let unreadable = |cause: serde_json::Error| refused(format!("cannot parse the body: {cause}"));
    let body = Json::parse(if bytes.is_empty() { b"{}" } else { bytes }).map_err(unreadable)?;
    match body.text() {
        // Old clients encode the JSON twice.
        Some(text) => T::from_json(Json::parse(text.as_bytes()).map_err(unreadable)?),
        None => T::from_json(body),
    }
}
