//! The state of a load.

use super::TransitionError;
use crate::text_enum::text_enum;

text_enum! {
    /// Where a load stands.
    ///
    /// ```text
    ///            hold           discard
    ///   staged ───────▶ held ──────────────▶ discarded
    ///     │  │          │  │    release
    ///     │  │          │  └──────────────┐
    ///     │  │  replace │                 ▼
    ///     │  └── begin ─┼──────────▶ committing ── commit ──▶ committed
    ///     │             ▼                 │                      │ replace
    ///     │ fail      replaced ◀──────────┼──────────────────────┘
    ///     └───────────────────────────────┴── fail ──▶ failed
    /// ```
    LoadState, "load state" {
        /// Read, judged and written aside; not yet in the dataset.
        Staged = "staged",
        /// A check of severity `error` failed: nothing of it enters the dataset.
        Held = "held",
        /// Its number is taken, its commit may or may not have happened.
        Committing = "committing",
        /// Its rows are in the dataset.
        Committed = "committed",
        /// It was held, and a person said that nothing of it is to enter.
        Discarded = "discarded",
        /// New content at its path took its place.
        Replaced = "replaced",
        /// It could not be read or committed.
        Failed = "failed",
    }
}

/// What may happen to a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEvent {
    /// Its checks failed.
    Hold,
    /// It passed: its commit begins.
    Begin,
    /// A person released it although held: its commit begins.
    Release,
    /// A person gave it up although held: nothing of it enters.
    Discard,
    /// Its commit is done.
    Commit,
    /// New content took its place.
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
            (Self::Staged, E::Begin) | (Self::Held, E::Release) => Ok(Self::Committing),
            (Self::Committing, E::Commit) => Ok(Self::Committed),
            (Self::Held, E::Discard) => Ok(Self::Discarded),
            (Self::Held | Self::Committed, E::Replace) => Ok(Self::Replaced),
            (Self::Staged | Self::Committing, E::Fail) => Ok(Self::Failed),
            (state, event) => Err(TransitionError::new("load", state.as_str(), event)),
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Staged | Self::Committing)
    }
}
