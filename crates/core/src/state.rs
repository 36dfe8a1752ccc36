//! The states of entities, and the transitions between them.
//!
//! Each state is an enum with one `transition(self, event)`; no other code assigns
//! a state. The words of `as_str` are what storage, JSON and pages show.

use std::fmt;

use crate::error::{Error, ErrorCode};

mod approval;
mod canary;
mod job;
mod load;
mod pipeline;
mod record;
mod run;
#[cfg(test)]
mod tests;

pub use approval::{ApprovalRequestEvent, ApprovalRequestState};
pub use canary::{CanaryEvent, CanaryState};
pub use job::{JobEvent, JobState};
pub use load::{LoadEvent, LoadState};
pub use pipeline::{PipelineRunEvent, PipelineRunState, StepRunEvent, StepRunState};
pub use record::{AlertEvent, AlertState, Lifecycle, ModelVersionEvent, ModelVersionState, SegmentEvent, SegmentState};
pub use run::{RunEvent, RunStatus};

/// An event that the state it met does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {noun} that is `{state}` does not take `{event}`")]
pub struct TransitionError {
    /// The noun, such as `load`.
    pub noun: &'static str,
    /// The state it is in.
    pub state: &'static str,
    /// The event.
    pub event: String,
}

impl TransitionError {
    fn new(noun: &'static str, state: &'static str, event: impl fmt::Debug) -> Self {
        Self { noun, state, event: format!("{event:?}").to_lowercase() }
    }
}

impl From<TransitionError> for Error {
    fn from(error: TransitionError) -> Self {
        Self::new(ErrorCode::WrongState, error.to_string())
    }
}
