//! The state of a job.

use super::{TransitionError, states};

states! {
    /// Where a job stands. A job whose lease ran out is claimed again, so it may
    /// run twice and must not care.
    ///
    /// ```text
    ///             claim             ┌── complete ──▶ done
    ///   pending ────────▶ running ──┼── give up ───▶ dead
    ///      ▲                │ ▲ └┐ claim (lease over), renew
    ///      └──── retry ─────┘ └──┘
    ///   pending, running ── cancel ──▶ cancelled
    /// ```
    JobState, "job" {
        /// Waits for its time.
        Pending = "pending",
        /// A server holds it by lease.
        Running = "running",
        /// Done.
        Done = "done",
        /// Tried as often as allowed.
        Dead = "dead",
        /// No longer wanted.
        Cancelled = "cancelled",
    }
}

/// What may happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEvent {
    /// A server takes it (again, when a lease ran out).
    Claim,
    /// Its holder needs more time.
    Renew,
    /// It is done.
    Complete,
    /// It failed and is tried again later.
    Retry,
    /// It failed too often.
    GiveUp,
    /// It is no longer wanted.
    Cancel,
}

impl JobState {
    /// The state after `event`.
    pub fn transition(self, event: JobEvent) -> Result<Self, TransitionError> {
        use JobEvent as E;
        match (self, event) {
            (Self::Pending | Self::Running, E::Claim) | (Self::Running, E::Renew) => Ok(Self::Running),
            (Self::Running, E::Complete) => Ok(Self::Done),
            (Self::Running, E::Retry) => Ok(Self::Pending),
            (Self::Running, E::GiveUp) => Ok(Self::Dead),
            (Self::Pending | Self::Running, E::Cancel) => Ok(Self::Cancelled),
            (state, event) => Err(TransitionError::new("job", state.as_str(), event)),
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}
