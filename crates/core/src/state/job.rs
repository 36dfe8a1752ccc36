//! The state of a job.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// State of a durable job.
    ///
    /// ```text
    ///             claim
    ///   pending ─────────▶ running ── complete ──▶ succeeded
    ///    ▲ ▲ │              │ │ ▲│
    ///    │ │ │     retry    │ │ └┘ claim, after the lease expired
    ///    │ └─┼──────────────┘ │ hold
    ///    │   │                ▼
    ///    │   │    requeue    held
    ///    └───┼────────────────┤
    ///        └──── cancel ────┴──▶ cancelled
    /// ```
    ///
    /// `cancel` ends a running job too: its holder loses the lease.
    JobState, "job state" {
        /// It waits for its due time and a claim.
        Pending = "pending",
        /// A server executes it, for as long as its lease lasts.
        Running = "running",
        /// It was executed.
        Succeeded = "succeeded",
        /// Every attempt failed: it is not executed again until a person requeues it.
        Held = "held",
        /// It is not to be executed any more.
        Cancelled = "cancelled",
    }
}

/// An event in the life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEvent {
    /// A server takes the lease.
    Claim,
    /// The holder has executed it.
    Complete,
    /// The attempt failed or was postponed, another one follows.
    Retry,
    /// The attempt failed, none follows.
    Hold,
    /// A person requests further attempts.
    Requeue,
    /// It is not needed any more.
    Cancel,
}

impl JobState {
    /// The state after `event`.
    pub fn transition(self, event: JobEvent) -> Result<Self, TransitionError> {
        use JobEvent as E;
        match (self, event) {
            (Self::Pending | Self::Running, E::Claim) => Ok(Self::Running),
            (Self::Running, E::Complete) => Ok(Self::Succeeded),
            (Self::Running, E::Retry) | (Self::Held, E::Requeue) => Ok(Self::Pending),
            (Self::Running, E::Hold) => Ok(Self::Held),
            (Self::Pending | Self::Running | Self::Held, E::Cancel) => Ok(Self::Cancelled),
            (state, event) => Err(TransitionError::new("job", state.as_str(), event)),
        }
    }

    /// Whether it is open: no other job with its unique key can be enqueued.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::Held)
    }
}
