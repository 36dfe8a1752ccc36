//! States and verdicts as people see them: a word, a shape, and only then a colour.

use std::fmt;

use perennial_core::port::data::Severity;
use perennial_core::rule::Verdict;
use perennial_core::state::{AlertState, ApprovalRequestState, CanaryState, LoadState, PipelineRunState, StepRunState};

/// A state shown by a word, a shape and a tone. All three are constants, so they need no escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusBadge {
    word: &'static str,
    shape: &'static str,
    tone: &'static str,
}

impl StatusBadge {
    const fn good(word: &'static str) -> Self {
        Self { word, shape: "✓", tone: "good" }
    }

    const fn bad(word: &'static str) -> Self {
        Self { word, shape: "✕", tone: "bad" }
    }

    const fn warn(word: &'static str) -> Self {
        Self { word, shape: "▲", tone: "warn" }
    }

    const fn busy(word: &'static str) -> Self {
        Self { word, shape: "◐", tone: "busy" }
    }

    const fn plain(word: &'static str) -> Self {
        Self { word, shape: "○", tone: "plain" }
    }

    /// Its word alone.
    pub(crate) fn word(self) -> &'static str {
        self.word
    }

    /// Its shape alone.
    pub(crate) fn shape(self) -> &'static str {
        self.shape
    }

    /// The class that colours it.
    pub(crate) fn tone(self) -> &'static str {
        self.tone
    }

    /// Nothing is recorded yet.
    pub(crate) const NONE: Self = Self::plain("nothing yet");
    /// The version is the champion.
    pub(crate) const CHAMPION: Self = Self::good("champion");
    /// The version is the canary.
    pub(crate) const CANARY: Self = Self::busy("canary");
    /// The distance of a feature from its reference is above the limit.
    pub(crate) const DRIFTED: Self = Self::warn("drifted");
    /// The distance of a feature from its reference is below the limit.
    pub(crate) const STEADY: Self = Self::good("steady");
    /// The ledger is intact.
    pub(crate) const VERIFIED: Self = Self::good("verified");
    /// The ledger was altered.
    pub(crate) const BROKEN: Self = Self::bad("broken");
    /// The state or verdict is not known.
    pub(crate) const UNKNOWN: Self = Self::plain("unknown");
    /// Every check or gate passed.
    pub(crate) const PASSED: Self = Self::good("passed");
    /// A check or gate failed.
    pub(crate) const FAILED: Self = Self::bad("failed");
    /// The endpoint answers, or the model is registered.
    pub(crate) const READY: Self = Self::good("ready");
    /// The endpoint cannot answer.
    pub(crate) const UNREADY: Self = Self::bad("cannot answer");
    /// The trigger waits for its event.
    pub(crate) const WATCHING: Self = Self::plain("waiting for its event");
}

impl fmt::Display for StatusBadge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<span class=\"badge {}\"><span aria-hidden=\"true\">{}</span> {}</span>",
            self.tone, self.shape, self.word
        )
    }
}

impl askama::filters::HtmlSafe for StatusBadge {}

impl From<LoadState> for StatusBadge {
    fn from(state: LoadState) -> Self {
        match state {
            LoadState::Staged => Self::busy("staged"),
            LoadState::Committing => Self::busy("committing"),
            LoadState::Held => Self::warn("held"),
            LoadState::Committed => Self::good("committed"),
            LoadState::Rejected => Self::plain("rejected"),
            LoadState::Replaced => Self::plain("replaced"),
            LoadState::Failed => Self::bad("failed"),
        }
    }
}

impl From<PipelineRunState> for StatusBadge {
    fn from(state: PipelineRunState) -> Self {
        match state {
            PipelineRunState::Pending => Self::plain("pending"),
            PipelineRunState::Running => Self::busy("running"),
            PipelineRunState::Interrupted => Self::warn("interrupted"),
            PipelineRunState::Succeeded => Self::good("succeeded"),
            PipelineRunState::NothingToDo => Self::plain("nothing to do"),
            PipelineRunState::Failed => Self::bad("failed"),
            PipelineRunState::Cancelled => Self::plain("cancelled"),
        }
    }
}

impl From<StepRunState> for StatusBadge {
    fn from(state: StepRunState) -> Self {
        match state {
            StepRunState::Pending => Self::plain("pending"),
            StepRunState::Running => Self::busy("running"),
            StepRunState::Succeeded => Self::good("succeeded"),
            StepRunState::Cached => Self::good("cached"),
            StepRunState::Failed => Self::bad("failed"),
            StepRunState::Skipped => Self::plain("skipped"),
            StepRunState::Interrupted => Self::warn("interrupted"),
        }
    }
}

impl From<AlertState> for StatusBadge {
    fn from(state: AlertState) -> Self {
        match state {
            AlertState::Firing => Self::warn("firing"),
            AlertState::Acknowledged => Self::plain("acknowledged"),
            AlertState::Resolved => Self::good("resolved"),
        }
    }
}

impl From<ApprovalRequestState> for StatusBadge {
    fn from(state: ApprovalRequestState) -> Self {
        match state {
            ApprovalRequestState::Waiting => Self::warn("waiting"),
            ApprovalRequestState::Approved => Self::busy("approved"),
            ApprovalRequestState::Released => Self::good("released"),
            ApprovalRequestState::Failed => Self::bad("failed"),
            ApprovalRequestState::Rejected => Self::bad("rejected"),
            ApprovalRequestState::Replaced => Self::plain("replaced"),
        }
    }
}

impl From<CanaryState> for StatusBadge {
    fn from(state: CanaryState) -> Self {
        match state {
            CanaryState::Running => Self::busy("running"),
            CanaryState::Waiting => Self::busy("waiting"),
            CanaryState::Promoted => Self::good("promoted"),
            CanaryState::RolledBack => Self::bad("rolled back"),
            CanaryState::Replaced => Self::plain("replaced"),
        }
    }
}

impl From<Verdict> for StatusBadge {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::good("pass"),
            Verdict::Fail => Self::bad("fail"),
            Verdict::Unknown => Self::plain("unknown"),
        }
    }
}

impl From<(Verdict, Severity)> for StatusBadge {
    fn from((verdict, severity): (Verdict, Severity)) -> Self {
        match (verdict, severity) {
            (Verdict::Fail, Severity::Warn) => Self::warn("warns"),
            (verdict, _) => verdict.into(),
        }
    }
}
