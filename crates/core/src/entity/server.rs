//! Servers and their leases.

use crate::id::ServerId;

/// A server process.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its id, new with each start.
    pub id: ServerId,
    /// The address it listens on.
    pub address: String,
    /// The version it runs.
    pub version: String,
    /// Whether it serves endpoints.
    pub is_serving: bool,
    /// Wall clock, epoch milliseconds.
    pub started_ms: i64,
    /// Wall clock at which its lease ends, epoch milliseconds.
    pub lease_until_ms: i64,
}
