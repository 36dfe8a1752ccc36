//! Kinds of attempts, and what they showed.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::target::Target;
use crate::chance::Chance;

/// A kind of attempts.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) run: fn(Arc<Target>, Chance) -> BoxFuture<'static, Outcome>,
}

/// Declares a kind: its name and an async function of the target and a generator.
macro_rules! kind {
    ($name:literal, $function:path) => {
        $crate::attack::attempt::Kind {
            name: $name,
            run: |target, chance| Box::pin(async move { $function(&target, chance).await }),
        }
    };
}
pub(super) use kind;

/// The number of attempts of a kind, and the holes that they found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) attempts: u64,
    pub(super) holes: Vec<String>,
}

impl Outcome {
    /// Counts an attempt, with the hole that it found, if any.
    pub(super) fn add(&mut self, hole: Option<String>) {
        self.attempts += 1;
        self.holes.extend(hole);
    }

    /// Counts an attempt that succeeded unless `is_refused`.
    pub(super) fn expect(&mut self, is_refused: bool, hole: impl FnOnce() -> String) {
        self.add((!is_refused).then(hole));
    }

    /// Adds the attempts of another outcome.
    pub(super) fn extend(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.holes.extend(other.holes);
    }
}
