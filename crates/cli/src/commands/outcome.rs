//! How a pipeline run ended, for the exit status and for the field `outcome` of the JSON result.

use std::process::ExitCode;

use serde_json::Value;

#[cfg(test)]
mod tests;

/// How a pipeline run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every step is up to date.
    Done,
    /// Nothing had to be done.
    NothingToDo,
    /// The candidate is the champion.
    Released,
    /// The candidate waits for approvals, or for the end of its canary.
    Waiting,
    /// The candidate is not released.
    Refused,
    /// A load is held, so not everything is up to date.
    Held,
    /// A source or a step failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Outcome {
    /// Reads it from a run of a kind, as `Follower` returns it.
    pub(super) fn of(kind: &str, run: &Value) -> Self {
        let is_release = kind == "release";
        let is_waiting = run["waiting_for"].as_array().is_some_and(|awaited| !awaited.is_empty());
        let is_idle = run["state"] == "nothing-to-do";
        match run["state"].as_str().unwrap_or_default() {
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ if !is_release && run["held"].as_u64().is_some_and(|held| held > 0) => Self::Held,
            _ if is_release && !run["verdict"].is_null() => match () {
                () if run["released"] == true => Self::Released,
                () if is_waiting => Self::Waiting,
                () => Self::Refused,
            },
            // The candidate is the champion already.
            _ if is_release && run["released"] == true => Self::NothingToDo,
            // There is no candidate: the project file declares no release.
            _ if is_release => Self::Refused,
            _ if is_idle => Self::NothingToDo,
            _ => Self::Done,
        }
    }

    /// The word in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NothingToDo => "nothing-to-do",
            Self::Released => "released",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the command did what was asked for.
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::NothingToDo | Self::Released | Self::Waiting)
    }

    /// The exit status. A command that waited until now reports `Waiting` only when it was interrupted.
    pub(super) fn exit(self) -> ExitCode {
        if self.is_success() { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }
}
