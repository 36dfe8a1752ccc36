//! What differs between the groups of routes behind the perimeter.

use http::HeaderValue;
use perennial_core::Error;

use axum::response::Response;

use crate::authentication::Credentials;
use crate::request::RequestMeta;

/// A group of routes with one kind of client: a JSON protocol, or the pages of the console.
pub trait Surface: Send + Sync + 'static {
    /// Renders an error in the form that the clients expect.
    fn render_error(&self, error: &Error, request: &RequestMeta) -> Response;

    /// The response to a request without credentials, such as a redirect to a sign-in page; `None` renders an error.
    fn sign_in(&self, _: &RequestMeta) -> Option<Response> {
        None
    }

    /// The credentials that requests may carry.
    fn credentials(&self) -> Credentials {
        Credentials::TokenOrSession
    }

    /// Whether requests are predictions: thousands a second, so that only failures are logged, and read-only, so that
    /// they end when their client disconnects.
    fn is_prediction(&self) -> bool {
        false
    }

    /// The content security policy of responses without one of their own.
    fn content_security_policy(&self) -> HeaderValue {
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")
    }
}

/// Chooses the surface of a path.
pub type SurfaceOf = fn(path: &str) -> &'static dyn Surface;
