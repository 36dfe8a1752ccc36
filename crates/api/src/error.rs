//! The JSON protocols, and how each renders errors.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use perennial_config::Diagnostics;
use perennial_core::id::RequestId;
use perennial_core::{Error, ErrorCode, ErrorKind};
use perennial_http::{RequestMeta, Surface, status};
use serde_json::{Value, json};

/// The protocol whose rules a response follows, by the path of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Our own: `/api/v1`, and every path that no other protocol owns.
    Native,
    /// The Open Inference Protocol: `/v2`.
    Inference,
    /// MLflow's tracking and registry: `/api/2.0`, `/api/3.0` and the same routes below `/ajax-api`.
    Mlflow,
    /// MLflow's scoring: `/endpoints/…`.
    Scoring,
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

/// The protocol that answers at a path.
pub fn surface_of(path: &str) -> &'static dyn Surface {
    match Protocol::of(path) {
        Protocol::Native => &Protocol::Native,
        Protocol::Inference => &Protocol::Inference,
        Protocol::Mlflow => &Protocol::Mlflow,
        Protocol::Scoring => &Protocol::Scoring,
    }
}

impl Surface for Protocol {
    fn render_error(&self, error: &Error, request: &RequestMeta) -> Response {
        render(*self, error, request.id)
    }

    fn is_prediction(&self) -> bool {
        matches!(self, Self::Inference | Self::Scoring)
    }
}

/// MLflow's code for a kind of error, with the status that its clients expect.
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

/// The response to a request that ended with `error`.
fn render(protocol: Protocol, error: &Error, request: RequestId) -> Response {
    let kind = error.kind();
    let mut response = match protocol {
        Protocol::Native => (status(kind), Json(native(error, request))).into_response(),
        Protocol::Inference => (status(kind), Json(json!({ "error": with_hint(error) }))).into_response(),
        Protocol::Mlflow | Protocol::Scoring => {
            let (mut code, status) = mlflow(kind);
            // MLflow's scoring distinguishes a malformed body from one that does not match the signature.
            if protocol == Protocol::Scoring && error.code() == ErrorCode::InvalidArgument {
                code = "BAD_REQUEST";
            }
            (status, Json(json!({ "error_code": code, "message": with_hint(error) }))).into_response()
        }
    };
    if kind == ErrorKind::Unauthenticated {
        let headers = response.headers_mut();
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"perennial\""));
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"perennial\""));
    }
    response
}

fn native(error: &Error, request: RequestId) -> Value {
    let mut body = json!({ "code": error.code().name(), "message": error.message() });
    if let Some(hint) = error.hint() {
        body["hint"] = json!(hint);
    }
    if let Some(diagnostics) = diagnostics(error) {
        body["diagnostics"] = json!(diagnostics);
    }
    json!({ "error": body, "request_id": request })
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_owned(),
    }
}

/// The mistakes of a project file behind an error, one object each.
fn diagnostics(error: &Error) -> Option<Vec<Value>> {
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        if let Some(diagnostics) = found.downcast_ref::<Diagnostics>() {
            let mistakes = diagnostics.errors.iter().map(|mistake| {
                json!({
                    "file": mistake.file, "line": mistake.line, "column": mistake.column,
                    "offset": mistake.span.start, "length": mistake.span.len(), "words": mistake.words,
                    "message": mistake.message, "suggestion": mistake.suggestion,
                })
            });
            return Some(mistakes.collect());
        }
        cause = found.source();
    }
    None
}
