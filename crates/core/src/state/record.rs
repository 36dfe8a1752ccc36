//! Small states: deletion, model versions, alerts, prediction segments.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// Whether an experiment or run is deleted; a deleted one can be read and restored.
    Lifecycle, "lifecycle" {
        /// There.
        Active = "active",
        /// Deleted, not yet gone.
        Deleted = "deleted",
    }
}

text_enum! {
    /// Where a model version stands.
    ///
    /// ```text
    ///   PENDING_REGISTRATION ── ready ──▶ READY
    ///            └───────────── fail ───▶ FAILED_REGISTRATION
    /// ```
    ModelVersionState, "model version state" {
        /// Its files are not complete yet.
        Pending = "PENDING_REGISTRATION",
        /// It can be used.
        Ready = "READY",
        /// Its files were not completed.
        Failed = "FAILED_REGISTRATION",
    }
}

/// What may happen to a model version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelVersionEvent {
    /// Its files are complete.
    Ready,
    /// Its files were not completed.
    Fail,
}

impl ModelVersionState {
    /// The state after `event`.
    pub fn transition(self, event: ModelVersionEvent) -> Result<Self, TransitionError> {
        match (self, event) {
            (Self::Pending, ModelVersionEvent::Ready) => Ok(Self::Ready),
            (Self::Pending, ModelVersionEvent::Fail) => Ok(Self::Failed),
            (state, event) => Err(TransitionError::new("model version", state.as_str(), event)),
        }
    }
}

text_enum! {
    /// Where an alert stands.
    ///
    /// ```text
    ///   firing ── acknowledge ──▶ acknowledged
    ///      └──────── resolve ───────┴──▶ resolved
    /// ```
    AlertState, "alert state" {
        /// Not acknowledged yet.
        Firing = "firing",
        /// A person has acknowledged it.
        Acknowledged = "acknowledged",
        /// Its cause is gone.
        Resolved = "resolved",
    }
}

/// What may happen to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertEvent {
    /// A person has acknowledged it.
    Acknowledge,
    /// Its cause is gone.
    Resolve,
}

impl AlertState {
    /// The state after `event`.
    pub fn transition(self, event: AlertEvent) -> Result<Self, TransitionError> {
        match (self, event) {
            (Self::Firing, AlertEvent::Acknowledge) => Ok(Self::Acknowledged),
            (Self::Firing | Self::Acknowledged, AlertEvent::Resolve) => Ok(Self::Resolved),
            (state, event) => Err(TransitionError::new("alert", state.as_str(), event)),
        }
    }
}

text_enum! {
    /// Where a segment of a prediction log stands.
    ///
    /// ```text
    ///   sealed ── load ──▶ loaded ── remove ──▶ removed
    /// ```
    SegmentState, "prediction segment state" {
        /// Closed, its file is there.
        Sealed = "sealed",
        /// Its rows are in the dataset.
        Loaded = "loaded",
        /// And its file is not needed any more.
        Removed = "removed",
    }
}

/// What may happen to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentEvent {
    /// Its rows are in the dataset.
    Load,
    /// Its file is not needed any more.
    Remove,
}

impl SegmentState {
    /// The state after `event`.
    pub fn transition(self, event: SegmentEvent) -> Result<Self, TransitionError> {
        match (self, event) {
            (Self::Sealed, SegmentEvent::Load) => Ok(Self::Loaded),
            (Self::Loaded, SegmentEvent::Remove) => Ok(Self::Removed),
            (state, event) => Err(TransitionError::new("prediction segment", state.as_str(), event)),
        }
    }
}
