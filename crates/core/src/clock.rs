//! The two clocks.

/// The wall clock: the only source of the current time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC.
    fn wall_ms(&self) -> i64;
}

/// An instant on both clocks: the wall clock drives leases and latency, the
/// project clock drives arrival, windows, schedules and canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Instant {
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds; the wall clock unless stepped.
    pub project_ms: i64,
}
