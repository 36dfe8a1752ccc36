//! Alerts: conditions that need attention.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorCode};
use crate::id::{AlertId, AttemptsId, LoadId, ProjectId};
use crate::name::{DatasetName, EndpointName, MonitorName};
use crate::state::AlertState;

#[cfg(test)]
mod tests;

/// What an alert is about. Stored and shown as `<kind>:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AlertSubject {
    /// A rule of a monitor: `monitor:<name>`.
    Monitor(MonitorName),
    /// A monitor's window that cannot be evaluated: `window:<monitor>`.
    Window(MonitorName),
    /// A dataset whose source is late: `dataset:<name>`.
    Dataset(DatasetName),
    /// A held load: `load:<id>`.
    Load(LoadId),
    /// A source file that cannot be loaded: `file:<dataset>/<path>`.
    File {
        /// The dataset.
        dataset: DatasetName,
        /// The file's path, or the source's pattern if the whole source fails.
        path: String,
    },
    /// A segment of a prediction log that cannot be loaded: `segment:<endpoint>/<number>`.
    Segment {
        /// The endpoint.
        endpoint: EndpointName,
        /// The segment's number in the log.
        number: i64,
    },
    /// An endpoint whose predictions cannot be logged: `endpoint:<name>`.
    Endpoint(EndpointName),
    /// Jobs of a kind: `job:<kind>`.
    Job(String),
    /// Work that is held because servers died during its attempts: `work:<id>`.
    Work(AttemptsId),
    /// A release that waits for approvals: `release:<digest>`.
    Release(String),
}

impl fmt::Display for AlertSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monitor(name) => write!(f, "monitor:{name}"),
            Self::Window(monitor) => write!(f, "window:{monitor}"),
            Self::Dataset(name) => write!(f, "dataset:{name}"),
            Self::Load(id) => write!(f, "load:{id}"),
            Self::File { dataset, path } => write!(f, "file:{dataset}/{path}"),
            Self::Segment { endpoint, number } => write!(f, "segment:{endpoint}/{number}"),
            Self::Endpoint(name) => write!(f, "endpoint:{name}"),
            Self::Job(kind) => write!(f, "job:{kind}"),
            Self::Work(id) => write!(f, "work:{id}"),
            Self::Release(digest) => write!(f, "release:{digest}"),
        }
    }
}

impl FromStr for AlertSubject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            let message = format!(
                "unknown subject of an alert `{}`: expected `monitor:`, `window:`, `dataset:`, `load:`, `file:`, `segment:`, `endpoint:`, `job:`, `work:` or `release:` and a name",
                text.escape_debug()
            );
            Error::new(ErrorCode::InvalidArgument, message)
        };
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        match (kind, name.split_once('/')) {
            ("monitor", _) => name.parse().map(Self::Monitor),
            ("window", _) => name.parse().map(Self::Window),
            ("dataset", _) => name.parse().map(Self::Dataset),
            ("load", _) => name.parse().map(Self::Load),
            ("file", Some((dataset, path))) => Ok(Self::File { dataset: dataset.parse()?, path: path.to_owned() }),
            ("segment", Some((endpoint, number))) => {
                let number = number.parse().map_err(|_| unknown())?;
                Ok(Self::Segment { endpoint: endpoint.parse()?, number })
            }
            ("endpoint", _) => name.parse().map(Self::Endpoint),
            ("job", _) if !name.is_empty() => Ok(Self::Job(name.to_owned())),
            ("work", _) => name.parse().map(Self::Work),
            ("release", _) if !name.is_empty() => Ok(Self::Release(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for AlertSubject {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<AlertSubject> for String {
    fn from(subject: AlertSubject) -> Self {
        subject.to_string()
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The project.
    pub project_id: ProjectId,
    /// Its subject.
    pub subject: AlertSubject,
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
