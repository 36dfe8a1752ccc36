//! The validated project, as other crates use it.

mod endpoint;
mod monitor;
mod step;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use perennial_core::calendar::timezone;
use perennial_core::name::{DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName};
use perennial_core::path::RelativePath;
use perennial_core::port::data::{FilesSource, Format, LocalTime, Severity};
use perennial_core::rule::Expression;
use perennial_core::sql::is_aggregate;

pub use endpoint::{Canary, Endpoint};
pub use monitor::Monitor;
pub use step::{Environment, Input, Output, Run, Step, StepKind, StepLimits};
pub use trigger::{Event, Schedule, Trigger};

use crate::diagnostic::Diagnostics;
use crate::file::{Dataset, Identity, Release, Source, Start, Task};
use crate::graph::Graph;
use crate::parse::OldNames;
use crate::settle_time::SettleTime;
use crate::validate::validate;
use crate::validation_context::ValidationContext;

/// A valid project file.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// The project's name, goal and owners.
    pub project: Identity,
    /// The prediction task; absent in a project that only collects and checks data.
    pub task: Option<Task>,
    /// Datasets that are loaded from a source.
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Checks by dataset, ordered by name; the dataset is loaded from a source or is the output of a step.
    pub checks: BTreeMap<DatasetName, Vec<Check>>,
    /// The steps.
    pub steps: BTreeMap<StepName, Step>,
    /// The gates.
    pub gates: BTreeMap<String, Expression>,
    /// Which model is released.
    pub release: Option<Release>,
    /// The endpoints.
    pub endpoints: BTreeMap<EndpointName, Endpoint>,
    /// The monitors.
    pub monitors: BTreeMap<MonitorName, Monitor>,
    /// The triggers.
    pub triggers: BTreeMap<TriggerName, Trigger>,
    /// The dependencies between steps. It has the inputs of `sql` steps only when the file was
    /// validated with a context that can read their SQL; see [`Project::graph_with`].
    pub graph: Graph,
}

impl Project {
    /// Validates the text alone: files, SQL and the parameters of trainers are not checked.
    ///
    /// # Errors
    /// All errors found.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        validate(file_name, text, None, OldNames::Refuse)
    }

    /// Validates the text of a submission that was stored, maybe by an earlier version: keys may have their old names.
    ///
    /// # Errors
    /// All errors found.
    pub fn parse_stored(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        validate(file_name, text, None, OldNames::Accept)
    }

    /// Validates the text, the files it names, their SQL and the parameters of trainers.
    ///
    /// # Errors
    /// All errors found.
    pub fn validate(file_name: &str, text: &str, context: &ValidationContext<'_>) -> Result<Self, Diagnostics> {
        validate(file_name, text, Some(context), OldNames::Refuse)
    }

    /// The project's timezone.
    pub fn timezone(&self) -> TimeZone {
        timezone(&self.project.timezone).unwrap_or(TimeZone::UTC)
    }

    /// The dependency graph, given the tables that each `sql` step reads.
    pub fn graph_with(&self, tables: &BTreeMap<StepName, Vec<String>>) -> Graph {
        Graph::new(self.task.as_ref(), &self.steps, &self.checks, tables)
    }

    /// The declared checks of a dataset.
    pub fn checks_of(&self, dataset: &DatasetName) -> &[Check] {
        self.checks.get(dataset).map_or(&[], Vec::as_slice)
    }

    /// The `evaluate` step of the release's model.
    pub fn evaluation_step(&self) -> Option<&StepName> {
        let model = &self.release.as_ref()?.model;
        self.steps
            .iter()
            .find(|(_, step)| matches!(&step.kind, StepKind::Evaluate { models, .. } if models.contains(model)))
            .map(|(name, _)| name)
    }

    /// The sections that control releases and differ from those of `before`, as written: `[gates]`,
    /// `[endpoints.delay]`. Without `before`, all such sections.
    pub fn changed_in_release(&self, before: Option<&Self>) -> Vec<String> {
        let mut changed = Vec::new();
        if before.map_or(!self.gates.is_empty(), |before| before.gates != self.gates) {
            changed.push("[gates]".to_owned());
        }
        if before.and_then(|before| before.release.as_ref()) != self.release.as_ref() {
            changed.push("[release]".to_owned());
        }
        let none = BTreeMap::new();
        let endpoints = before.map_or(&none, |before| &before.endpoints);
        changed.extend(differing(endpoints, &self.endpoints).map(|name| format!("[endpoints.{name}]")));
        let (before, now) = (before.map(Self::release_triggers).unwrap_or_default(), self.release_triggers());
        changed.extend(differing(&before, &now).map(|name| format!("[triggers.{name}]")));
        changed
    }

    /// The changes since `before` that affect only future loads, one sentence per dataset; rows already loaded stay as
    /// they are.
    pub fn changed_for_loads(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, now) in &self.datasets {
            let Some(then) = before.datasets.get(name) else { continue };
            let parts = [(now.key != then.key, "its key"), (now.mode != then.mode, "its mode")];
            let checks = self.checks.get(name) != before.checks.get(name);
            let changed = parts.into_iter().chain([(checks, "its checks")]).filter(|(is_changed, _)| *is_changed);
            let changed: Vec<&str> = changed.map(|(_, part)| part).collect();
            if !changed.is_empty() {
                let changed = changed.join(" and ");
                changes.push(format!(
                    "`{name}`: {changed} changed; this affects only future loads, rows already loaded stay"
                ));
            }
        }
        changes
    }

    /// The triggers that start a release.
    fn release_triggers(&self) -> BTreeMap<&TriggerName, &Trigger> {
        self.triggers.iter().filter(|(_, trigger)| trigger.run == Start::Release).collect()
    }

    /// The project's name in a project file that may have errors elsewhere.
    pub fn name_in(text: &str) -> Option<ProjectName> {
        let table: toml::Table = text.parse().ok()?;
        table.get("project")?.get("name")?.as_str()?.parse().ok()
    }

    /// Paths and globs of the files that steps declare, relative to the project's folder, ordered: SQL, code,
    /// requirements; no sources.
    pub fn declared_files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for step in self.steps.values() {
            match &step.kind {
                StepKind::Sql { file } => files.push(file),
                StepKind::Run(run) => {
                    files.extend(run.code.iter().map(String::as_str));
                    if let Environment::Uv { file } = &run.environment {
                        files.push(file);
                    }
                }
                StepKind::Train { .. } | StepKind::Evaluate { .. } => {}
            }
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// A file that a step declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredFile {
    /// Its path or glob, relative to the project's folder.
    pub path: String,
    /// Whether it is the SQL of a step.
    pub is_sql: bool,
}

/// The files that the steps of a project file declare, ordered, also when the file has mistakes elsewhere; none where it is
/// not TOML. Of a file without mistakes they are [`Project::declared_files`].
pub fn declared_files_in(text: &str) -> Vec<DeclaredFile> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let steps = table.get("steps").and_then(toml::Value::as_table).into_iter().flat_map(|steps| steps.values());
    let mut files = Vec::new();
    for step in steps {
        let text = |key: &str| step.get(key).and_then(toml::Value::as_str);
        files.extend(text("sql").map(|path| (path, true)));
        let code = step.get("code").and_then(toml::Value::as_array).into_iter().flatten();
        files.extend(code.filter_map(toml::Value::as_str).map(|path| (path, false)));
        files.extend(text("env").and_then(|env| env.strip_prefix("uv:")).map(|path| (path, false)));
    }
    files.retain(|(path, _)| path.parse::<RelativePath>().is_ok());
    let files = files.into_iter().map(|(path, is_sql)| DeclaredFile { path: path.to_owned(), is_sql });
    files.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Keys whose values differ between two maps, ordered.
fn differing<'a, K: Ord, V: PartialEq>(a: &'a BTreeMap<K, V>, b: &'a BTreeMap<K, V>) -> impl Iterator<Item = &'a K> {
    let keys: BTreeSet<&K> = a.keys().chain(b.keys()).collect();
    keys.into_iter().filter(|key| a.get(*key) != b.get(*key))
}

impl Task {
    /// Columns that are never features: key, time, target and `ignore`.
    pub fn not_features(&self) -> impl Iterator<Item = &str> {
        self.key.iter().chain([&self.time, &self.target]).chain(&self.ignore).map(String::as_str)
    }
}

impl Source {
    /// The source in the form of the data engine's port. Times without a zone are of the source's timezone, by default of
    /// the project's.
    pub fn files_source(&self, project_timezone: &str) -> FilesSource {
        let timezone = self.timezone.as_deref().unwrap_or(project_timezone).to_owned();
        FilesSource {
            root: None,
            files: self.files.clone(),
            format: self.format,
            header: self.header,
            columns: self.columns.clone(),
            local_time: LocalTime { timezone, is_declared: self.timezone.is_some() },
        }
    }

    /// How long a file must be unchanged before it is loaded. Objects of a store appear complete.
    pub fn settle_time(&self) -> Option<SettleTime> {
        let settle = self.settle.unwrap_or(SettleTime::DEFAULT);
        (self.is_relative() && settle.as_millis() > 0).then_some(settle)
    }

    /// Whether the files are in the project's folder, not at a URL.
    pub fn is_relative(&self) -> bool {
        !self.files.contains("://")
    }

    /// The declared format, or the one inferred from the file extension.
    pub fn known_format(&self) -> Option<Format> {
        let extension = self.files.rsplit('.').next().map(str::to_ascii_lowercase);
        self.format.or(match extension.as_deref() {
            Some("csv") => Some(Format::Csv),
            Some("jsonl" | "ndjson" | "json") => Some(Format::JsonLines),
            Some("parquet") => Some(Format::Parquet),
            _ => None,
        })
    }
}

/// The prefix of the names of prediction datasets.
pub(crate) const PREDICTIONS_PREFIX: &str = "predictions_";

/// The dataset of an endpoint's predictions; `None` when the endpoint's name is too long for one.
pub fn predictions_of(endpoint: &EndpointName) -> Option<DatasetName> {
    format!("{PREDICTIONS_PREFIX}{}", endpoint.as_str().replace('-', "_")).parse().ok()
}

/// A data check of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name in the project file.
    pub name: String,
    /// Its condition.
    pub condition: Condition,
    /// The share of rows that must pass, above 0, up to 1; aggregates do not use it.
    pub at_least: f64,
    /// Whether a failure holds the load or is only reported.
    pub severity: Severity,
}

impl Check {
    /// Whether it is evaluated once a load and not for each row.
    pub fn is_aggregate(&self) -> bool {
        matches!(&self.condition, Condition::Expression(expression) if is_aggregate(expression))
    }
}

/// The condition of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A boolean SQL expression: of a row, or over aggregates when it calls one.
    Expression(String),
    /// No two rows of a load have the same values in the columns.
    Unique(Vec<String>),
    /// Every value of the column exists in a column of another dataset.
    References {
        /// The checked column.
        column: String,
        /// The other dataset.
        dataset: DatasetName,
        /// Its column.
        target: String,
    },
}
