//! Causes: what made a pipeline run, a promotion or a load happen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorCode};
use crate::id::{AlertId, PipelineRunId};
use crate::name::{DatasetName, EndpointName, TriggerName};

#[cfg(test)]
mod tests;

/// The cause of a pipeline run, a promotion or a refusal. Stored as JSON; `kind` names the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Cause {
    /// A person asked for it.
    Person {
        /// The principal's name.
        by: String,
        /// Their comment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A trigger fired.
    Trigger {
        /// The trigger.
        trigger: TriggerName,
        /// The event it is declared on, as in the project file: `alert:delay.stale`.
        event: String,
        /// The occurrence of that event.
        because: TriggerEvent,
    },
    /// A monitor needs outcomes that a dataset does not have yet.
    Monitor {
        /// The dataset of `[task]`.
        dataset: DatasetName,
    },
    /// The project file declares the endpoint.
    Declared {
        /// The endpoint.
        endpoint: EndpointName,
    },
    /// The project file no longer declares the canary.
    DeclarationGone {},
    /// A canary completed its time and its requests.
    Canary {
        /// Requests it answered.
        requests: u64,
        /// The facts of canary and champion, JSON.
        facts: Value,
    },
    /// The rollback rule of a canary holds.
    RollbackRule {
        /// The rule, as written.
        rule: Option<String>,
        /// The facts it read, by path.
        values: Vec<(String, Value)>,
    },
}

/// An occurrence that fires a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum TriggerEvent {
    /// An alert fired.
    Alert {
        /// The alert.
        alert: AlertId,
        /// Its message.
        message: String,
    },
    /// A dataset has a new version.
    Dataset {
        /// The dataset.
        dataset: DatasetName,
        /// Number of the version.
        number: i64,
    },
    /// A scheduled instant passed.
    Schedule {
        /// The cron expression.
        schedule: String,
        /// The instant, project clock, epoch milliseconds.
        due_ms: i64,
    },
}

impl TriggerEvent {
    /// The identity of the occurrence: a trigger fires once for each.
    pub fn id(&self) -> String {
        match self {
            Self::Alert { alert, .. } => alert.to_string(),
            Self::Dataset { dataset, number } => format!("{dataset}@{number}"),
            Self::Schedule { schedule, due_ms } => format!("{schedule}@{due_ms}"),
        }
    }
}

impl Cause {
    /// The cause that a principal asked for it.
    pub fn person(by: &str) -> Self {
        Self::Person { by: by.to_owned(), note: None }
    }

    /// The variant's name in the stored JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::Trigger { .. } => "trigger",
            Self::Monitor { .. } => "monitor",
            Self::Declared { .. } => "declared",
            Self::DeclarationGone {} => "declaration_gone",
            Self::Canary { .. } => "canary",
            Self::RollbackRule { .. } => "rollback_rule",
        }
    }

    /// The cause as a JSON object, in the stored form.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| unreachable!("a cause has string keys only: {error}"))
    }
}

/// The work or actor that a change is attributed to, as loads and ledger entries record it: `pipeline_run:<id>`, or the
/// name of a principal or of a task of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeCause {
    /// A pipeline run.
    PipelineRun(PipelineRunId),
    /// A principal, or a task of the server such as `clock`.
    Named(String),
}

const PIPELINE_RUN: &str = "pipeline_run:";

impl fmt::Display for ChangeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PipelineRun(id) => write!(f, "{PIPELINE_RUN}{id}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl FromStr for ChangeCause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix(PIPELINE_RUN) {
            Some(id) => id.parse().map(Self::PipelineRun),
            None if text.is_empty() => Err(Error::new(ErrorCode::InvalidArgument, "the cause of a change is empty")),
            None => Ok(Self::Named(text.to_owned())),
        }
    }
}
