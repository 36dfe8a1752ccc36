//! The status of a tracked run, in MLflow's words.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// MLflow's status of a run. Clients may take a finished run up again, so
    /// every status may follow every other, but nothing goes back to scheduled.
    ///
    /// ```text
    ///   SCHEDULED ── start ──▶ RUNNING ◀── start ── FINISHED, FAILED, KILLED
    ///        └────────┬───────────┘                    ▲
    ///                 └── finish, fail, kill ──────────┘
    /// ```
    RunStatus, "run status" {
        /// To be executed later.
        Scheduled = "SCHEDULED",
        /// At work.
        Running = "RUNNING",
        /// Ended well.
        Finished = "FINISHED",
        /// Ended badly.
        Failed = "FAILED",
        /// Stopped.
        Killed = "KILLED",
    }
}

/// What may happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// It is put off.
    Schedule,
    /// It starts, or is resumed.
    Start,
    /// It ends well.
    Finish,
    /// It ends badly.
    Fail,
    /// It is stopped.
    Kill,
}

impl RunEvent {
    /// The event that leads to `status`.
    pub fn to(status: RunStatus) -> Self {
        match status {
            RunStatus::Scheduled => Self::Schedule,
            RunStatus::Running => Self::Start,
            RunStatus::Finished => Self::Finish,
            RunStatus::Failed => Self::Fail,
            RunStatus::Killed => Self::Kill,
        }
    }
}

impl RunStatus {
    /// The status after `event`.
    pub fn transition(self, event: RunEvent) -> Result<Self, TransitionError> {
        match (self, event) {
            (Self::Scheduled, RunEvent::Schedule) => Ok(Self::Scheduled),
            (state, RunEvent::Schedule) => Err(TransitionError::new("run", state.as_str(), event)),
            (_, RunEvent::Start) => Ok(Self::Running),
            (_, RunEvent::Finish) => Ok(Self::Finished),
            (_, RunEvent::Fail) => Ok(Self::Failed),
            (_, RunEvent::Kill) => Ok(Self::Killed),
        }
    }

    /// Whether it has ended.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Running)
    }
}
