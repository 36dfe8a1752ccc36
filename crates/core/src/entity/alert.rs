//! Alerts: conditions that need attention.

use serde_json::Value;

use crate::id::{AlertId, ProjectId};
use crate::state::AlertState;

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The project.
    pub project_id: ProjectId,
    /// Its subject: `monitor:<name>`, `window:<monitor>`, `dataset:<name>`, `load:<id>`, `file:<dataset>/<path>`, `segment:<endpoint>/<number>`.
    pub subject: String,
    /// Its name, such as `stale`, `late`, `held`.
    pub name: String,
    /// Start of the window, epoch milliseconds; 0 where there is none.
    pub window_start_ms: i64,
    /// Number of the model version, if the alert or result is about one.
    pub number: Option<i64>,
    /// The rule that fired, as written.
    pub expression: Option<String>,
    /// The facts that the rule read.
    pub facts: Value,
    /// The message for people.
    pub message: String,
    /// Its state.
    pub state: AlertState,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
    /// Wall clock when it was resolved.
    pub settled_ms: Option<i64>,
}
