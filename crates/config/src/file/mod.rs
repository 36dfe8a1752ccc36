//! The project file as written: one type per section; unknown keys are errors.
//!
//! The doc comments are the descriptions in the JSON schema, which editors show.

mod dataset;
mod endpoint;
mod monitor;
mod one_or_many;
mod step;
mod trigger;

use std::collections::BTreeMap;

use perennial_core::calendar::{Duration, WindowLength};
use perennial_core::name::{DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName};
use perennial_core::permission::Role;
use perennial_core::task::TaskKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use dataset::{Batch, CheckEntry, CheckTable, Dataset, OnChange, Source};
pub use endpoint::{CanaryTable, EndpointTable};
pub use monitor::MonitorTable;
pub use one_or_many::OneOrMany;
pub use step::{Isolation, LimitsTable, Network, OutputKind, OutputTable, StepTable};
pub use trigger::{Start, TriggerTable};

use crate::value_schema;

/// A Perennial project: the prediction task, its data, and how models are trained, tested, released, served and monitored.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "perennial.toml")]
pub struct ProjectFile {
    /// The project's name, goal and owners.
    pub project: Identity,
    /// The prediction task, shared by all stages.
    pub task: Option<Task>,
    /// Datasets that are loaded from a source, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Dataset>")]
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Data checks, by dataset, then by the check's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, CheckEntry>>")]
    pub checks: BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    /// The pipeline's steps, by name: each is SQL, a built-in trainer, a command, or an evaluation.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, StepTable>")]
    pub steps: BTreeMap<StepName, StepTable>,
    /// Conditions that a candidate must meet, in CEL over the published facts, by name.
    #[serde(default)]
    pub gates: BTreeMap<String, String>,
    /// Which model is released, and which roles must approve.
    pub release: Option<Release>,
    /// Addresses where the champion answers requests, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, EndpointTable>")]
    pub endpoints: BTreeMap<EndpointName, EndpointTable>,
    /// Monitors of endpoints, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, MonitorTable>")]
    pub monitors: BTreeMap<MonitorName, MonitorTable>,
    /// Events that start the pipeline, by the trigger's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, TriggerTable>")]
    pub triggers: BTreeMap<TriggerName, TriggerTable>,
}

/// The project's name, goal and owners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The project's name; its models are registered under it.
    #[schemars(schema_with = "value_schema::name")]
    pub name: ProjectName,
    /// The goal in one sentence, shown on every page and report.
    #[serde(default)]
    pub goal: String,
    /// The people responsible: addresses or names.
    #[serde(default)]
    pub owners: Vec<String>,
    /// IANA timezone of windows and schedules, and of times without a zone in files and requests, such as `Europe/Zurich`; default UTC.
    #[serde(default = "utc")]
    pub timezone: String,
}

/// The prediction task, shared by all stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The kind of prediction.
    #[schemars(schema_with = "value_schema::task_kind")]
    pub kind: TaskKind,
    /// The dataset with one row per example.
    #[schemars(schema_with = "value_schema::name")]
    pub data: DatasetName,
    /// The column of the outcome; null means that it is not known yet.
    pub target: String,
    /// Columns that are sent with each request and join the outcome later; never features.
    pub key: Vec<String>,
    /// The column with the time of the example.
    pub time: String,
    /// Length of the test window: the newest labelled calendar window; training uses only earlier rows.
    #[schemars(schema_with = "value_schema::window_length")]
    pub test: WindowLength,
    /// How late outcomes may arrive, such as `45 days`; later ones are not waited for. Without it there is no limit.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::duration")]
    pub label_delay: Option<Duration>,
    /// The metric of the goal.
    pub metric: String,
    /// Columns that are not features, besides key, time and target.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Features exempt from the leak check.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Which model is released, and which roles must approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The step whose model is the candidate.
    #[schemars(schema_with = "value_schema::name")]
    pub model: StepName,
    /// Roles that must approve a release; empty means automatic.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::roles")]
    pub approve: Vec<Role>,
    /// How long evidence stays valid, on the project clock; default 7 days.
    #[serde(default = "seven_days")]
    #[schemars(schema_with = "value_schema::duration")]
    pub evidence_ttl: Duration,
}

fn utc() -> String {
    "UTC".to_owned()
}

#[expect(clippy::expect_used, reason = "a constant, parsed by a test")]
fn seven_days() -> Duration {
    "7 days".parse().expect("seven days is a duration")
}
