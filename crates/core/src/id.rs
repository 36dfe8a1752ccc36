//! Identifiers: UUIDv7 values with a type of their own for each noun.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::error::{Error, ErrorCode};

/// Makes each id later than the one before, whatever the wall clock shows.
static SEQUENCE: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// Makes every id that is generated from now on later than all whose time is `ms`, epoch milliseconds, or earlier. A server
/// calls it with the latest time of its stored ids: a wall clock that was set back then does not change the order of
/// lists, which is that of the ids.
pub fn continue_after(ms: u64) {
    let next = ms.saturating_add(1);
    // Moves the sequence forward; this id is not used.
    let _ = Uuid::new_v7(Timestamp::from_unix(&SEQUENCE, next / 1_000, (next % 1_000) as u32 * 1_000_000));
}

/// The time of an id from its text, epoch milliseconds; `None` for other texts.
pub fn time_ms(id: &str) -> Option<u64> {
    let (seconds, nanoseconds) = Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    Some(seconds * 1_000 + u64::from(nanoseconds) / 1_000_000)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later than every id made before it by this server or an earlier one, see [`continue_after`].
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::new_v7(Timestamp::now(&SEQUENCE)))
            }

            /// The value itself.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(value: Uuid) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_simple())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::try_parse(text).map(Self).map_err(|_| {
                    Error::new(
                        ErrorCode::InvalidArgument,
                        format!(concat!("`{}` is not a valid ", $noun, " id: expected 32 hexadecimal digits"), text.escape_debug()),
                    )
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// Names a project.
    ProjectId, "project";
    /// Names a principal: a person, a step or a host.
    PrincipalId, "principal";
    /// Names a token.
    TokenId, "token";
    /// Names a dataset.
    DatasetId, "dataset";
    /// Names a load: one arrival of rows.
    LoadId, "load";
    /// Names a run (MLflow's `run_id`).
    RunId, "run";
    /// Names a pipeline run.
    PipelineRunId, "pipeline run";
    /// Names one attempt at a step.
    StepRunId, "step run";
    /// Names a runner job: a command that a runner executes. A durable job has a [`JobId`].
    RunnerJobId, "runner job";
    /// Names a decision.
    DecisionId, "decision";
    /// Names a promotion.
    PromotionId, "promotion";
    /// Names an alert.
    AlertId, "alert";
    /// Names a request to an endpoint.
    RequestId, "request";
    /// Names a grant of a role.
    GrantId, "grant";
    /// Names a registered model.
    ModelId, "registered model";
    /// Names a record of evidence.
    EvidenceId, "evidence";
    /// Names an approval.
    ApprovalId, "approval";
    /// Names work whose attempts are counted, see [`crate::entity::Attempts`].
    AttemptsId, "held work";
    /// Names a request for approvals.
    ApprovalRequestId, "approval request";
    /// Names a durable job.
    JobId, "job";
    /// Names a server process, from its start to its end.
    ServerId, "server";
}

/// Names an experiment: a whole number from 0, as MLflow counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExperimentId(i64);

impl ExperimentId {
    /// The experiment `Default` of the project `default`.
    pub const DEFAULT: Self = Self(0);

    /// The value itself.
    pub fn number(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for ExperimentId {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self, Error> {
        if number >= 0 {
            return Ok(Self(number));
        }
        Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("`{number}` is not a valid experiment id: expected a whole number from 0"),
        ))
    }
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExperimentId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse::<i64>() {
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::try_from(number),
            _ => Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("`{}` is not a valid experiment id: expected a whole number from 0", text.escape_debug()),
            )),
        }
    }
}

impl TryFrom<String> for ExperimentId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ExperimentId> for String {
    fn from(id: ExperimentId) -> Self {
        id.to_string()
    }
}
