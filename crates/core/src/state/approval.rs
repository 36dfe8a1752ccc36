//! The state of a request for approvals.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// The progress of a request for approvals.
    ///
    /// ```text
    ///   waiting ── approve ─▶ approved ── release ─▶ released
    ///      │                     ├─────── fail ────▶ failed
    ///      ├── reject ─▶ rejected│
    ///      └── replace ──────────┴─▶ replaced
    /// ```
    ApprovalRequestState, "state of an approval request" {
        /// A role has not approved yet.
        Waiting = "waiting",
        /// Every role has approved; the release continues.
        Approved = "approved",
        /// The release went to its endpoints, as champion or as canary.
        Released = "released",
        /// The release could not continue.
        Failed = "failed",
        /// A person rejected the release.
        Rejected = "rejected",
        /// A newer release took its place.
        Replaced = "replaced",
    }
}

/// An event of a request for approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalRequestEvent {
    /// The last missing role has approved.
    Approve,
    /// A person rejects the release.
    Reject,
    /// The release went to its endpoints.
    Release,
    /// The release cannot continue.
    Fail,
    /// A newer release takes its place.
    Replace,
}

impl ApprovalRequestState {
    /// The state after `event`.
    pub fn transition(self, event: ApprovalRequestEvent) -> Result<Self, TransitionError> {
        use ApprovalRequestEvent as E;
        match (self, event) {
            (Self::Waiting, E::Approve) => Ok(Self::Approved),
            (Self::Waiting, E::Reject) => Ok(Self::Rejected),
            (Self::Approved, E::Release) => Ok(Self::Released),
            (Self::Approved, E::Fail) => Ok(Self::Failed),
            (Self::Waiting | Self::Approved, E::Replace) => Ok(Self::Replaced),
            (state, event) => Err(TransitionError::new("approval request", state.as_str(), event)),
        }
    }

    /// Whether approvals or the continuation of the release are outstanding.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Approved)
    }
}
