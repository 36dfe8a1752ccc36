//! Sessions of people in a browser.

use crate::id::PrincipalId;

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Hash of the cookie's secret, hex.
    pub secret_hash: String,
    /// The principal.
    pub principal_id: PrincipalId,
    /// The CSRF token of its forms.
    pub csrf_token: String,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock, epoch milliseconds.
    pub expires_ms: i64,
}
