//! The project as the rest of Perennial reads it.

mod live;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use perennial_core::calendar::timezone;
use perennial_core::name::{DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName};
use perennial_core::port::data::{FilesSource, Format, Severity};
use perennial_core::rule::Expression;

pub use live::{Canary, Endpoint, Event, Monitor, Schedule, Trigger};
pub use step::{Act, Environment, Input, Output, Run, Step, StepLimits};

use crate::diagnostic::Diagnostics;
use crate::file::{Dataset, Identity, Release, Source, Start, Task};
use crate::graph::Graph;
use crate::judge;
use crate::surroundings::Surroundings;

/// A project file that holds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// What the project is for, and whose it is.
    pub project: Identity,
    /// What is to be learnt; absent in a project that only collects and checks.
    pub task: Option<Task>,
    /// Datasets with a source.
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Checks by dataset and name; the dataset has a source or is made by a step.
    pub checks: BTreeMap<DatasetName, BTreeMap<String, Check>>,
    /// The steps.
    pub steps: BTreeMap<StepName, Step>,
    /// The gates.
    pub gates: BTreeMap<String, Expression>,
    /// What is released.
    pub release: Option<Release>,
    /// The endpoints.
    pub endpoints: BTreeMap<EndpointName, Endpoint>,
    /// The monitors.
    pub monitors: BTreeMap<MonitorName, Monitor>,
    /// The triggers.
    pub triggers: BTreeMap<TriggerName, Trigger>,
    /// What needs and makes what. Inputs of `sql` steps are in it when the file was
    /// judged with surroundings that read them; see [`Project::graph_with`].
    pub graph: Graph,
}

impl Project {
    /// Judges the text by itself: files, SQL and trainers' parameters stay unseen.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        judge::judge(file_name, text, None)
    }

    /// Judges the text together with the files it names and the trainers there are.
    ///
    /// # Errors
    /// Every mistake found.
    pub fn judge(file_name: &str, text: &str, around: &Surroundings<'_>) -> Result<Self, Diagnostics> {
        judge::judge(file_name, text, Some(around))
    }

    /// The project's timezone.
    pub fn timezone(&self) -> TimeZone {
        timezone(&self.project.timezone).unwrap_or(TimeZone::UTC)
    }

    /// The graph, given the tables each `sql` step names.
    pub fn graph_with(&self, tables: &BTreeMap<StepName, Vec<String>>) -> Graph {
        Graph::of(self.task.as_ref(), &self.steps, &self.checks, tables)
    }

    /// The `evaluate` step that judges the release's model.
    pub fn judging_step(&self) -> Option<&StepName> {
        let model = &self.release.as_ref()?.model;
        self.steps
            .iter()
            .find(|(_, step)| matches!(&step.act, Act::Evaluate { models, .. } if models.contains(model)))
            .map(|(name, _)| name)
    }

    /// The sections by which it is decided what is released, and when, that say something else than in `before`;
    /// without one, those that are there. As they are written: `[gates]`, `[endpoints.delay]`.
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
        let (before, now) = (before.map(Self::releasing).unwrap_or_default(), self.releasing());
        changed.extend(differing(&before, &now).map(|name| format!("[triggers.{name}]")));
        changed
    }

    /// What of the file says something else than in `before` and holds only for rows to come, a sentence each: rows that
    /// are there stay as they are.
    pub fn changed_for_loads(&self, before: &Self) -> Vec<String> {
        let mut told = Vec::new();
        for (name, now) in &self.datasets {
            let Some(then) = before.datasets.get(name) else { continue };
            let parts = [(now.key != then.key, "its key"), (now.mode != then.mode, "its mode")];
            let checks = self.checks.get(name) != before.checks.get(name);
            let changed = parts.into_iter().chain([(checks, "its checks")]).filter(|(is_changed, _)| *is_changed);
            let changed: Vec<&str> = changed.map(|(_, part)| part).collect();
            if !changed.is_empty() {
                let changed = changed.join(" and ");
                told.push(format!(
                    "`{name}`: {changed} changed, which holds for loads to come; rows that are there stay"
                ));
            }
        }
        told
    }

    /// The triggers that release.
    fn releasing(&self) -> BTreeMap<&TriggerName, &Trigger> {
        self.triggers.iter().filter(|(_, trigger)| trigger.run == Start::Release).collect()
    }

    /// The name that a project file gives its project, whatever else is wrong with the file.
    pub fn name_in(text: &str) -> Option<ProjectName> {
        let table: toml::Table = text.parse().ok()?;
        table.get("project")?.get("name")?.as_str()?.parse().ok()
    }

    /// Paths and globs of the files the pipeline is made of, below the project's folder, ordered:
    /// SQL, code, requirements. Sources are not among them.
    pub fn declared_files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for step in self.steps.values() {
            match &step.act {
                Act::Sql { file } => files.push(file),
                Act::Run(run) => {
                    files.extend(run.code.iter().map(String::as_str));
                    if let Environment::Uv { file } = &run.environment {
                        files.push(file);
                    }
                }
                Act::Train { .. } | Act::Evaluate { .. } => {}
            }
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// Keys under which two maps hold different things, ordered.
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
    /// The source as the data engine reads it.
    pub fn files_source(&self) -> FilesSource {
        FilesSource {
            root: None,
            files: self.files.clone(),
            format: self.format,
            header: self.header,
            columns: self.columns.clone(),
        }
    }

    /// Whether the files lie below the project's folder, not at a URL.
    pub fn is_relative(&self) -> bool {
        !self.files.contains("://")
    }

    /// The format said, or told by the files' ending.
    pub fn known_format(&self) -> Option<Format> {
        let ending = self.files.rsplit('.').next().map(str::to_ascii_lowercase);
        self.format.or(match ending.as_deref() {
            Some("csv") => Some(Format::Csv),
            Some("jsonl" | "ndjson" | "json") => Some(Format::JsonLines),
            Some("parquet") => Some(Format::Parquet),
            _ => None,
        })
    }
}

/// How the names of datasets of predictions begin.
pub(crate) const PREDICTIONS: &str = "predictions_";

/// The dataset that holds an endpoint's predictions; `None` when the endpoint's name leaves no room for one.
pub fn predictions_of(endpoint: &EndpointName) -> Option<DatasetName> {
    format!("{PREDICTIONS}{}", endpoint.as_str().replace('-', "_")).parse().ok()
}

/// A test of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is asked.
    pub question: Question,
    /// The share of rows that must pass, above 0, up to 1.
    pub at_least: f64,
    /// What a failure does.
    pub severity: Severity,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A SQL condition: over one row, or over aggregates.
    That(String),
    /// No two rows of a load share the values of the columns.
    Unique(Vec<String>),
    /// The columns' values are there.
    NotNull(Vec<String>),
    /// The column's value stands in another dataset's column.
    References {
        /// The column judged.
        column: String,
        /// The other dataset.
        dataset: DatasetName,
        /// Its column.
        target: String,
    },
}
