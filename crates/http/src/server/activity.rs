//! What a connection does, by which an idle one is found: HTTP/2 has no timeout for that, and neither has the time before
//! the first bytes give the version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::limits::WRITTEN_MIN;

/// The requests of one connection and what was written of their responses.
pub(super) struct Activity {
    opened: Instant,
    /// Requests that are being answered.
    answering: AtomicUsize,
    /// Requests whose responses have not been read, those that are being answered among them.
    in_flight: AtomicUsize,
    /// Whether a request began since [`Activity::was_idle`] was last asked.
    began: AtomicBool,
    /// Bytes written since then. A connection in use writes at least [`WRITTEN_MIN`]; fewer are pings.
    written: Arc<AtomicU64>,
    /// When the last request ended, in milliseconds after the connection was opened.
    ended_ms: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            answering: AtomicUsize::default(),
            in_flight: AtomicUsize::default(),
            began: AtomicBool::default(),
            written: Arc::default(),
            ended_ms: AtomicU64::default(),
        })
    }

    /// Begins a request: that it is being answered, and that it is in flight until its response has been read.
    pub(super) fn begin(self: Arc<Self>) -> (Answering, InFlight) {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.began.store(true, Ordering::Relaxed);
        (Answering(self.clone()), InFlight(self))
    }

    /// The counter of written bytes.
    pub(super) fn written(&self) -> &Arc<AtomicU64> {
        &self.written
    }

    /// Whether a request is in flight.
    pub(super) fn has_requests(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Since when no request has been in flight; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        (!self.has_requests()).then(|| self.opened + ended)
    }

    /// Whether since the last call no request was being answered, and no response was read by the peer.
    pub(super) fn was_idle(&self) -> bool {
        let has_begun = self.began.swap(false, Ordering::Relaxed);
        let has_written = self.written.swap(0, Ordering::Relaxed) >= WRITTEN_MIN;
        !has_begun && !has_written && self.answering.load(Ordering::Relaxed) == 0
    }
}

/// A request that is being answered, until it is dropped.
pub(super) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request in flight, until it is dropped.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let ended_ms = self.0.opened.elapsed().as_millis() as u64;
        self.0.ended_ms.store(ended_ms, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
