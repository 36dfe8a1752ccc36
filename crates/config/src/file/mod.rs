//! The project file as it is written: one type a section, unknown keys refused.
//!
//! Doc comments here are the descriptions of the JSON schema, which editors show.

mod dataset;
mod live;
mod step;
mod words;

use std::collections::BTreeMap;

use perennial_core::calendar::Duration;
use perennial_core::name::{DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName};
use perennial_core::permission::Role;
use perennial_core::task::TaskKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use dataset::{Batch, CheckEntry, CheckTable, Dataset, OnChange, Source};
pub use live::{CanaryTable, EndpointTable, MonitorTable, Start, TriggerTable};
pub use step::{Isolation, LimitsTable, OutputKind, OutputTable, StepTable};
pub use words::Words;

use crate::schema;

/// A Perennial project: what is to be learnt from which data, how it is tested, released, served and watched.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "perennial.toml")]
pub struct ProjectFile {
    /// What the project is for, and whose it is.
    pub project: Identity,
    /// What is to be learnt, said once for all stages.
    pub task: Option<Task>,
    /// Where rows come from, by the dataset's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Dataset>")]
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Tests of data, by dataset, then by the check's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, CheckEntry>>")]
    pub checks: BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    /// The pipeline: each step is SQL, a built-in trainer, a command, or an evaluation.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, StepTable>")]
    pub steps: BTreeMap<StepName, StepTable>,
    /// Questions a candidate must pass, in CEL over the published facts, by name.
    #[serde(default)]
    pub gates: BTreeMap<String, String>,
    /// Which model is released, and who must agree.
    pub release: Option<Release>,
    /// Where the champion answers, by the endpoint's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, EndpointTable>")]
    pub endpoints: BTreeMap<EndpointName, EndpointTable>,
    /// What is watched of an endpoint, by the monitor's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, MonitorTable>")]
    pub monitors: BTreeMap<MonitorName, MonitorTable>,
    /// What starts the pipeline by itself, by the trigger's name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, TriggerTable>")]
    pub triggers: BTreeMap<TriggerName, TriggerTable>,
}

/// What the project is for, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The project's name; its models are registered under it.
    #[schemars(schema_with = "schema::name")]
    pub name: ProjectName,
    /// The aim in one sentence, shown on every page and report.
    #[serde(default)]
    pub goal: String,
    /// Who answers for it: addresses or names.
    #[serde(default)]
    pub owners: Vec<String>,
    /// IANA timezone of windows and schedules, such as `Europe/Zurich`; UTC if not said.
    #[serde(default = "utc")]
    pub timezone: String,
}

/// What is to be learnt, said once for all stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The kind of answer.
    #[schemars(schema_with = "schema::task_kind")]
    pub kind: TaskKind,
    /// The dataset with one row an example.
    #[schemars(schema_with = "schema::name")]
    pub data: DatasetName,
    /// The outcome's column; null means that it is not known yet.
    pub target: String,
    /// Columns that come with each request and join the outcome later; never features.
    pub key: Vec<String>,
    /// The column that tells when an example happened.
    pub time: String,
    /// Length of the calendar window that judges: the newest labelled one; training sees only what is earlier.
    #[schemars(schema_with = "schema::duration")]
    pub test: Duration,
    /// How long outcomes are waited for; for ever if not said.
    #[serde(default)]
    #[schemars(schema_with = "schema::duration")]
    pub within: Option<Duration>,
    /// The measure of the goal.
    pub metric: String,
    /// Columns that are neither key, time, target nor feature.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Features that the leak check must not suspect.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Which model is released, and who must agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The step whose model is the candidate.
    #[schemars(schema_with = "schema::name")]
    pub model: StepName,
    /// Roles whose yes is needed; empty means automatic.
    #[serde(default)]
    #[schemars(schema_with = "schema::roles")]
    pub approve: Vec<Role>,
    /// How long evidence counts, on the project clock; 7 days if not said.
    #[serde(default = "seven_days")]
    #[schemars(schema_with = "schema::duration")]
    pub fresh: Duration,
}

fn utc() -> String {
    "UTC".to_owned()
}

#[expect(clippy::expect_used, reason = "a constant, read by a test")]
fn seven_days() -> Duration {
    "7 days".parse().expect("seven days is a duration")
}
