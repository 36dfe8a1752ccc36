//! The state of a load.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// The state of a load.
    ///
    /// ```text
    ///            hold           reject
    ///   staged ───────▶ held ──────────────▶ rejected
    ///     │  │          │  │    accept
    ///     │  │          │  └──────────────┐
    ///     │  │  replace │                 ▼
    ///     │  └── begin ─┼──────────▶ committing ── commit ──▶ committed
    ///     │             ▼                 │                      │ replace
    ///     │ fail      replaced ◀──────────┼──────────────────────┘
    ///     └───────────────────────────────┴── fail ──▶ failed
    /// ```
    LoadState, "load state" {
        /// Read, checked and written to the staging area; not yet in the dataset.
        Staged = "staged",
        /// A check of severity `error` failed, so no row enters the dataset.
        Held = "held",
        /// Its number is reserved; its commit may or may not have happened.
        Committing = "committing",
        /// Its rows are in the dataset.
        Committed = "committed",
        /// It was held, and a person rejected it: no row enters the dataset.
        Rejected = "rejected",
        /// New content at its path replaced it.
        Replaced = "replaced",
        /// It could not be read or committed.
        Failed = "failed",
    }
}

/// An event of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEvent {
    /// Its checks failed.
    Hold,
    /// It passed: its commit begins.
    Begin,
    /// A person accepted it although it was held: its commit begins.
    Accept,
    /// A person rejected it: no row enters the dataset.
    Reject,
    /// Its commit is done.
    Commit,
    /// New content replaced it.
    Replace,
    /// It could not be read or committed.
    Fail,
}

impl LoadState {
    /// The state after `event`.
    pub fn transition(self, event: LoadEvent) -> Result<Self, TransitionError> {
        use LoadEvent as E;
        match (self, event) {
            (Self::Staged, E::Hold) => Ok(Self::Held),
            (Self::Staged, E::Begin) | (Self::Held, E::Accept) => Ok(Self::Committing),
            (Self::Committing, E::Commit) => Ok(Self::Committed),
            (Self::Held, E::Reject) => Ok(Self::Rejected),
            (Self::Held | Self::Committed, E::Replace) => Ok(Self::Replaced),
            (Self::Staged | Self::Committing, E::Fail) => Ok(Self::Failed),
            (state, event) => Err(TransitionError::new("load", state.as_str(), event)),
        }
    }

    /// Whether it changes only by a person or by new content.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Staged | Self::Committing)
    }
}
