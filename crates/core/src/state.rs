//! States of the nouns that live through time, and the only ways between them.
//!
//! Each state is an enum with one `transition(self, event)`; nobody else assigns
//! a state. The words of `as_str` are what storage, JSON and pages show.

use std::fmt;

use crate::error::{Error, ErrorCode};

mod canary;
mod load;
mod pipeline;
mod record;
mod run;
#[cfg(test)]
mod tests;

pub use canary::{CanaryEvent, CanaryState};
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
    /// The event that came.
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

/// Declares a state: its variants with the words that stand for them.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that stands for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(crate::error::Error::new(
                        crate::error::ErrorCode::InvalidArgument,
                        format!(
                            concat!("`{}` is no state of a ", $noun, ": expected one of {}"),
                            other.escape_debug(),
                            [$(concat!("`", $word, "`")),*].join(", "),
                        ),
                    )),
                }
            }
        }
    };
}
use states;
