//! The states of pipeline runs and of attempts at steps.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// Where a pipeline run stands.
    ///
    /// ```text
    ///             start               ┌── succeed ──▶ succeeded
    ///   pending ────────▶ running ────┼── idle ─────▶ nothing-to-do
    ///      │               │   ▲      ├── fail ─────▶ failed
    ///      │     interrupt ▼   │ resume
    ///      │          interrupted ──── fail ────────▶ failed
    ///      │               └── cancel (from each of the three) ──▶ cancelled
    ///      └── fail ──▶ failed
    /// ```
    PipelineRunState, "pipeline run state" {
        /// Recorded, not begun.
        Pending = "pending",
        /// At work.
        Running = "running",
        /// The server that ran it has stopped; the next server resumes it.
        Interrupted = "interrupted",
        /// Everything it had to do is done.
        Succeeded = "succeeded",
        /// No input had changed.
        NothingToDo = "nothing-to-do",
        /// A part of it failed.
        Failed = "failed",
        /// A person stopped it.
        Cancelled = "cancelled",
    }
}

/// What may happen to a pipeline run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineRunEvent {
    /// It begins.
    Start,
    /// Its server is gone.
    Interrupt,
    /// The next server resumes it.
    Resume,
    /// All is done.
    Succeed,
    /// Nothing had changed.
    Idle,
    /// A part failed.
    Fail,
    /// A person stopped it.
    Cancel,
}

impl PipelineRunState {
    /// The state after `event`.
    pub fn transition(self, event: PipelineRunEvent) -> Result<Self, TransitionError> {
        use PipelineRunEvent as E;
        match (self, event) {
            (Self::Pending, E::Start) | (Self::Interrupted, E::Resume) => Ok(Self::Running),
            (Self::Running, E::Interrupt) => Ok(Self::Interrupted),
            (Self::Running, E::Succeed) => Ok(Self::Succeeded),
            (Self::Running, E::Idle) => Ok(Self::NothingToDo),
            (Self::Pending | Self::Running | Self::Interrupted, E::Fail) => Ok(Self::Failed),
            (Self::Pending | Self::Running | Self::Interrupted, E::Cancel) => Ok(Self::Cancelled),
            (state, event) => Err(TransitionError::new("pipeline run", state.as_str(), event)),
        }
    }

    /// Whether it has ended.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Interrupted)
    }
}

text_enum! {
    /// Where one attempt at a step stands. An interrupted or failed attempt
    /// stays as it is; trying again is a new attempt.
    ///
    /// ```text
    ///             start              ┌── succeed ───▶ succeeded
    ///   pending ────────▶ running ───┼── fail ──────▶ failed
    ///    │   │                       └── interrupt ─▶ interrupted
    ///    │   └── reuse ──▶ cached
    ///    └────── skip ───▶ skipped
    /// ```
    StepRunState, "step run state" {
        /// Planned.
        Pending = "pending",
        /// Executing.
        Running = "running",
        /// It left its outputs.
        Succeeded = "succeeded",
        /// Its outputs were there already, by content.
        Cached = "cached",
        /// It failed.
        Failed = "failed",
        /// Something it needs failed.
        Skipped = "skipped",
        /// Its server died, or its pipeline run was stopped.
        Interrupted = "interrupted",
    }
}

/// What may happen to an attempt at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepRunEvent {
    /// It begins.
    Start,
    /// It left its outputs.
    Succeed,
    /// Its outputs were there already.
    Reuse,
    /// It failed.
    Fail,
    /// Something it needs failed.
    Skip,
    /// It was cut off.
    Interrupt,
}

impl StepRunState {
    /// The state after `event`.
    pub fn transition(self, event: StepRunEvent) -> Result<Self, TransitionError> {
        use StepRunEvent as E;
        match (self, event) {
            (Self::Pending, E::Start) => Ok(Self::Running),
            (Self::Pending, E::Reuse) => Ok(Self::Cached),
            (Self::Pending, E::Skip) => Ok(Self::Skipped),
            (Self::Running, E::Succeed) => Ok(Self::Succeeded),
            (Self::Running, E::Fail) => Ok(Self::Failed),
            (Self::Running, E::Interrupt) => Ok(Self::Interrupted),
            (state, event) => Err(TransitionError::new("step run", state.as_str(), event)),
        }
    }

    /// Whether it has ended.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}
