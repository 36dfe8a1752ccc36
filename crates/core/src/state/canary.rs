//! The state of a canary.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// Where a canary stands.
    ///
    /// ```text
    ///   running ── await ──▶ waiting ◀─ await ─┐
    ///      └────────┬───────────┴──────────────┘
    ///               ├── promote ──▶ promoted
    ///               ├── roll back ▶ rolled-back
    ///               └── replace ──▶ replaced
    /// ```
    CanaryState, "canary state" {
        /// It answers its share, its time is not over.
        Running = "running",
        /// Its time is over, but requests or facts are missing.
        Waiting = "waiting",
        /// It became champion.
        Promoted = "promoted",
        /// It was rolled back.
        RolledBack = "rolled-back",
        /// A newer passed Decision took its place.
        Replaced = "replaced",
    }
}

/// What may happen to a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryEvent {
    /// Its time is over and something is missing.
    Await,
    /// It becomes champion.
    Promote,
    /// It is rolled back.
    RollBack,
    /// A newer one takes its place.
    Replace,
}

impl CanaryState {
    /// The state after `event`.
    pub fn transition(self, event: CanaryEvent) -> Result<Self, TransitionError> {
        use CanaryEvent as E;
        match (self, event) {
            (Self::Running | Self::Waiting, E::Await) => Ok(Self::Waiting),
            (Self::Running | Self::Waiting, E::Promote) => Ok(Self::Promoted),
            (Self::Running | Self::Waiting, E::RollBack) => Ok(Self::RolledBack),
            (Self::Running | Self::Waiting, E::Replace) => Ok(Self::Replaced),
            (state, event) => Err(TransitionError::new("canary", state.as_str(), event)),
        }
    }

    /// Whether it answers a share of the traffic.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Waiting)
    }
}
