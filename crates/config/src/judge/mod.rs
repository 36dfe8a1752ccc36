//! From what the file says to a [`Project`]: every mistake of meaning at once.

mod around;
mod data;
mod live;
mod rules;
mod steps;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::rule::choose;

use crate::MISTAKES_MAX;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Path, at};
use crate::file::{ProjectFile, Task};
use crate::graph::{Graph, Thing, made_by};
use crate::project::{Project, Step, predictions_of};
use crate::shape::{Shape, read};
use crate::surroundings::Surroundings;

/// Judges a text; see [`Project::judge`].
pub(crate) fn judge(file_name: &str, text: &str, around: Option<&Surroundings<'_>>) -> Result<Project, Diagnostics> {
    let mut shape = read(file_name, text);
    let mut project = None;
    if let Some(file) = shape.file.take() {
        let mut judge = Judge {
            shape: &mut shape,
            task: file.task.clone(),
            steps: BTreeMap::new(),
            datasets: BTreeSet::new(),
            is_tangled: false,
        };
        project = judge.project(file, around);
    }
    let mut mistakes = shape.mistakes;
    if mistakes.is_empty()
        && let Some(project) = project
    {
        return Ok(project);
    }
    mistakes.sort_by_key(|mistake| mistake.span.start);
    mistakes.truncate(MISTAKES_MAX);
    Err(Diagnostics { file: file_name.to_owned(), text: text.to_owned(), mistakes })
}

struct Judge<'s, 't> {
    shape: &'s mut Shape<'t>,
    task: Option<Task>,
    /// The steps that could be read.
    steps: BTreeMap<StepName, Step>,
    /// Datasets with a source or made by a step.
    datasets: BTreeSet<DatasetName>,
    /// Whether a mistake was told that makes a circle of its own.
    is_tangled: bool,
}

impl Judge<'_, '_> {
    fn project(&mut self, file: ProjectFile, around: Option<&Surroundings<'_>>) -> Option<Project> {
        self.steps = self.read_steps(&file);
        self.datasets = file.datasets.keys().cloned().collect();
        self.judge_makers(&file);
        self.add_predictions(&file);
        self.judge_identity(&file.project);
        self.judge_task();
        self.judge_datasets(&file.datasets);
        let checks = self.read_checks(&file.checks);
        self.judge_steps(&file);
        self.judge_release(file.release.as_ref());
        let gates = self.read_gates(&file);
        let endpoints = self.read_endpoints(&file);
        let monitors = self.read_monitors(&file);
        let triggers = self.read_triggers(&file);
        let tables = around.map_or_else(BTreeMap::new, |around| self.look_around(around, &file.checks));
        let graph = Graph::of(self.task.as_ref(), &self.steps, &checks, &tables);
        self.judge_cycle(&graph);
        Some(Project {
            project: file.project,
            task: file.task,
            datasets: file.datasets,
            checks,
            steps: std::mem::take(&mut self.steps),
            gates: gates?,
            release: file.release,
            endpoints: endpoints?,
            monitors: monitors?,
            triggers,
            graph,
        })
    }

    fn judge_makers(&mut self, file: &ProjectFile) {
        let mut makers: BTreeMap<Thing, StepName> = BTreeMap::new();
        let made: Vec<(StepName, Thing)> = self
            .steps
            .iter()
            .flat_map(|(name, step)| made_by(name, step).into_iter().map(|thing| (name.clone(), thing)))
            .collect();
        for (name, thing) in made {
            let Thing::Dataset(dataset) = &thing else {
                continue;
            };
            self.datasets.insert(dataset.clone());
            if file.datasets.contains_key(dataset) {
                let message = format!("dataset `{dataset}` has a source, and step `{name}` makes it, too");
                self.is_tangled = true;
                self.key(at!["steps", name], message, Some("give the step another name".to_owned()));
            } else if let Some(first) = makers.insert(thing.clone(), name.clone()) {
                self.is_tangled = true;
                self.key(
                    at!["steps", name],
                    format!("steps `{first}` and `{name}` both make dataset `{dataset}`"),
                    None,
                );
            }
        }
    }

    /// Datasets of predictions are there for whoever reads them; nobody else may have their names.
    fn add_predictions(&mut self, file: &ProjectFile) {
        for endpoint in file.endpoints.keys() {
            let Some(predictions) = predictions_of(endpoint) else {
                continue;
            };
            if !self.datasets.insert(predictions.clone()) {
                let message = format!(
                    "`{predictions}` holds the predictions of endpoint `{endpoint}`, no other dataset can have its name"
                );
                let section = if file.datasets.contains_key(&predictions) { "datasets" } else { "steps" };
                self.key(at![section, predictions], message, Some("give the dataset another name".to_owned()));
            }
        }
    }

    fn judge_cycle(&mut self, graph: &Graph) {
        let Some(cycle) = graph.cycle().filter(|_| !self.is_tangled) else {
            return;
        };
        let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|step| format!("`{step}`")).collect();
        let first = cycle.first().map_or_else(Path::default, |step| at!["steps", step]);
        self.key(first, format!("steps need each other in a circle: {}", names.join(" needs ")), None);
    }

    /// Tells a mistake about the key at a path.
    fn key(&mut self, at: Path, message: impl Into<String>, suggestion: Option<String>) {
        let span = self.shape.document.key_span(&at);
        self.tell(span, message, suggestion);
    }

    /// Tells a mistake about the value at a path.
    fn value(&mut self, at: &Path, message: impl Into<String>, suggestion: Option<String>) {
        let span = self.shape.document.value_span(at);
        self.tell(span, message, suggestion);
    }

    fn tell(&mut self, span: Range<usize>, message: impl Into<String>, suggestion: Option<String>) {
        let document = &self.shape.document;
        let mistake = Diagnostic::new(document.name, document.text, span, message, suggestion);
        self.shape.mistakes.push(mistake);
    }

    /// Whether the dataset is there, or was cut out for another mistake.
    fn knows_dataset(&self, name: &str) -> bool {
        let is_there = name.parse().is_ok_and(|name: DatasetName| self.datasets.contains(&name));
        is_there || self.shape.is_cut(&at!["datasets", name]) || self.shape.is_cut(&at!["steps", name])
    }

    /// The step of that name that makes a model; tells a mistake at `at` when there is none.
    /// `None`, too, where the step was cut out for another mistake.
    fn model(&mut self, name: &str, at: &Path) -> Option<StepName> {
        let parsed: Option<StepName> = name.parse().ok();
        match parsed.as_ref().and_then(|name| self.steps.get(name)) {
            Some(step) if step.makes_model() => parsed,
            Some(_) if self.shape.is_touched(&at!["steps", name]) => None,
            Some(step) => {
                let message = format!("step `{name}` makes no model: it is a `{}` step", step.act.kind());
                let suggestion = (step.act.kind() == "run").then(|| "declare an output of kind `model`".to_owned());
                self.value(at, message, suggestion);
                None
            }
            None if self.shape.is_cut(&at!["steps", name]) => None,
            None => {
                let known: Vec<&str> =
                    self.steps.iter().filter(|(_, step)| step.makes_model()).map(|(name, _)| name.as_str()).collect();
                let suggestion = choose(name, &known);
                self.value(at, format!("unknown step `{name}`, expected one that makes a model"), suggestion);
                None
            }
        }
    }

    fn unknown_dataset(&mut self, name: &str, at: &Path, message: String) {
        let known: Vec<String> = self.datasets.iter().map(ToString::to_string).collect();
        let suggestion = choose(name, &known.iter().map(String::as_str).collect::<Vec<_>>());
        self.value(at, message, suggestion);
    }

    /// Tells names of checks, gates and alerts that cannot be named elsewhere.
    fn judge_name(&mut self, noun: &str, name: &str, at: Path) {
        if name.parse::<StepName>().is_err() {
            let message = format!(
                "`{name}` is no {noun} name: expected a lowercase letter, then lowercase letters, digits, `_` or `-`"
            );
            self.key(at, message, None);
        }
    }

    /// Tells repeated words of a list of columns.
    fn judge_columns(&mut self, columns: &[String], at: &Path) {
        let mut seen = BTreeSet::new();
        for (index, column) in columns.iter().enumerate() {
            let place = at.then(index);
            if column.is_empty() {
                self.value(&place, "a column's name is not empty", None);
            } else if !seen.insert(column) {
                self.value(&place, format!("column `{column}` is named twice"), None);
            }
        }
    }
}
