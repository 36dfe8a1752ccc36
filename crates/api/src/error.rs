//! Errors as each protocol tells them. The one place where a kind becomes a status.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use perennial_app::Diagnostics;
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, ErrorKind};
use serde_json::{Value, json};

/// Whose rules an answer follows, by the path asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Ours: `/api/v1` and whatever no other protocol owns.
    Native,
    /// The Open Inference Protocol: `/v2`.
    Inference,
    /// MLflow's tracking and registry: `/api/2.0`, `/api/3.0` and their `/ajax-api` twins.
    Mlflow,
    /// MLflow's scoring: `/endpoints/…`.
    Scoring,
    /// Pages for people.
    Page,
}

impl Protocol {
    /// The protocol that owns a path.
    pub fn of(path: &str) -> Self {
        let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below("/v2") {
            Self::Inference
        } else if below("/endpoints") {
            Self::Scoring
        } else if ["/api/2.0", "/api/3.0", "/ajax-api/2.0", "/ajax-api/3.0"].into_iter().any(below) {
            Self::Mlflow
        } else {
            Self::Native
        }
    }
}

/// An error on its way out of a handler. What it looks like is settled where every answer passes.
#[derive(Debug, Clone)]
pub struct ApiError(pub(crate) Arc<Error>);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(Arc::new(error.into()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status(self.0.kind()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The HTTP status of a kind of error.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::FailedPrecondition => StatusCode::CONFLICT,
        ErrorKind::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// MLflow's word for a kind of error, with the status its clients expect beside it.
fn mlflow(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::FailedPrecondition => {
            ("INVALID_PARAMETER_VALUE", StatusCode::BAD_REQUEST)
        }
        ErrorKind::AlreadyExists => ("RESOURCE_ALREADY_EXISTS", StatusCode::BAD_REQUEST),
        ErrorKind::NotFound => ("RESOURCE_DOES_NOT_EXIST", StatusCode::NOT_FOUND),
        ErrorKind::Unauthenticated => ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED),
        ErrorKind::PermissionDenied => ("PERMISSION_DENIED", StatusCode::FORBIDDEN),
        ErrorKind::ResourceExhausted => ("INVALID_PARAMETER_VALUE", StatusCode::PAYLOAD_TOO_LARGE),
        ErrorKind::DeadlineExceeded => ("DEADLINE_EXCEEDED", StatusCode::GATEWAY_TIMEOUT),
        ErrorKind::Unavailable => ("TEMPORARILY_UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Internal => ("INTERNAL_ERROR", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The answer that tells `error` by the rules of `protocol`.
pub(crate) fn render(protocol: Protocol, error: &Error, request: RequestId) -> Response {
    let kind = error.kind();
    let mut response = match protocol {
        Protocol::Native | Protocol::Page => (status(kind), Json(native(error, request))).into_response(),
        Protocol::Inference => (status(kind), Json(json!({ "error": with_hint(error) }))).into_response(),
        Protocol::Mlflow | Protocol::Scoring => {
            let (mut word, status) = mlflow(kind);
            // MLflow's scoring tells a body that does not read from one that does not fit the signature.
            if protocol == Protocol::Scoring && error.code() == ErrorCode::InvalidArgument {
                word = "BAD_REQUEST";
            }
            (status, Json(json!({ "error_code": word, "message": with_hint(error) }))).into_response()
        }
    };
    let headers = response.headers_mut();
    match kind {
        ErrorKind::Unauthenticated => {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"perennial\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"perennial\""));
        }
        ErrorKind::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

fn native(error: &Error, request: RequestId) -> Value {
    let mut told = json!({ "code": error.code().name(), "message": message(error) });
    if let Some(hint) = error.hint() {
        told["hint"] = json!(hint);
    }
    if let Some(diagnostics) = diagnostics(error) {
        told["diagnostics"] = json!(diagnostics);
    }
    json!({ "error": told, "request_id": request })
}

/// What people are told; of our own faults only that there is one, for the log has the rest.
fn message(error: &Error) -> &str {
    error.message()
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{}; {hint}", message(error)),
        None => message(error).to_owned(),
    }
}

/// The mistakes of a project file behind an error, one object each.
fn diagnostics(error: &Error) -> Option<Vec<Value>> {
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        if let Some(diagnostics) = found.downcast_ref::<Diagnostics>() {
            let told = diagnostics.errors.iter().map(|mistake| {
                json!({
                    "file": mistake.file, "line": mistake.line, "column": mistake.column,
                    "offset": mistake.span.start, "length": mistake.span.len(), "words": mistake.words,
                    "message": mistake.message, "suggestion": mistake.suggestion,
                })
            });
            return Some(told.collect());
        }
        cause = found.source();
    }
    None
}
