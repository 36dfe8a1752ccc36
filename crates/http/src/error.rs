//! Errors of handlers, and the one place where a kind of error becomes an HTTP status.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use perennial_core::{Error, ErrorKind};

/// An error that a handler returns. The perimeter renders it in the form that the route's clients expect, see
/// [`Surface::render_error`](crate::Surface::render_error).
#[derive(Debug, Clone)]
pub struct HttpError {
    pub(crate) error: Arc<Error>,
    /// The status of the response, where it does not follow from the kind of error.
    pub(crate) status: Option<StatusCode>,
}

impl HttpError {
    /// The error, answered with `status`.
    pub(crate) fn with_status(error: Error, status: StatusCode) -> Self {
        Self { error: Arc::new(error), status: Some(status) }
    }
}

impl<E: Into<Error>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self { error: Arc::new(error.into()), status: None }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = self.status.unwrap_or_else(|| status(self.error.kind())).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The HTTP status of a kind of error.
pub fn status(kind: ErrorKind) -> StatusCode {
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
