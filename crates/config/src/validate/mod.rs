//! From a parsed file to a [`Project`]: every semantic error in one pass.

mod data;
mod monitors;
mod references;
mod release;
mod rules;
mod runs;
mod steps;
mod task;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::rule::choose;

use crate::DIAGNOSTICS_MAX;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Path, at};
use crate::file::{ProjectFile, Task};
use crate::graph::{Graph, GraphNode, outputs_of};
use crate::parse::{OldNames, ParsedFile, parse};
use crate::project::{Project, Step, predictions_of};
use crate::validation_context::ValidationContext;

/// Validates a text; see [`Project::validate`] and [`Project::parse_stored`].
pub(crate) fn validate(
    file_name: &str,
    text: &str,
    context: Option<&ValidationContext<'_>>,
    old_names: OldNames,
) -> Result<Project, Diagnostics> {
    let mut parsed = parse(file_name, text, old_names);
    let mut project = None;
    if let Some(file) = parsed.file.take() {
        let mut validator = Validator {
            parsed: &mut parsed,
            old_names,
            task: file.task.clone(),
            steps: BTreeMap::new(),
            datasets: BTreeSet::new(),
            has_graph_error: false,
        };
        project = validator.project(file, context);
    }
    let mut errors = parsed.errors;
    if errors.is_empty()
        && let Some(project) = project
    {
        return Ok(project);
    }
    errors.sort_by_key(|error| error.span.start);
    errors.truncate(DIAGNOSTICS_MAX);
    Err(Diagnostics { file: file_name.to_owned(), text: text.to_owned(), errors })
}

struct Validator<'s, 't> {
    parsed: &'s mut ParsedFile<'t>,
    old_names: OldNames,
    task: Option<Task>,
    /// The steps without errors of their own.
    steps: BTreeMap<StepName, Step>,
    /// Datasets that are loaded from a source or produced by a step.
    datasets: BTreeSet<DatasetName>,
    /// Whether an error was reported that also shows as a cycle in the graph.
    has_graph_error: bool,
}

impl Validator<'_, '_> {
    fn project(&mut self, file: ProjectFile, context: Option<&ValidationContext<'_>>) -> Option<Project> {
        self.steps = self.parse_steps(&file);
        self.datasets = file.datasets.keys().cloned().collect();
        self.validate_producers(&file);
        self.add_prediction_datasets(&file);
        self.validate_identity(&file.project);
        self.validate_task();
        self.validate_datasets(&file.datasets);
        let checks = self.parse_checks(&file.checks);
        self.validate_steps(&file);
        self.validate_release(file.release.as_ref());
        let gates = self.parse_gates(&file);
        let endpoints = self.parse_endpoints(&file);
        let monitors = self.parse_monitors(&file);
        let triggers = self.parse_triggers(&file);
        let tables = context.map_or_else(BTreeMap::new, |context| self.validate_references(context, &file.checks));
        let graph = Graph::new(self.task.as_ref(), &self.steps, &checks, &tables);
        self.validate_acyclic(&graph);
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

    /// Reports datasets with more than one origin.
    fn validate_producers(&mut self, file: &ProjectFile) {
        let mut producers: BTreeMap<GraphNode, StepName> = BTreeMap::new();
        let outputs: Vec<(StepName, GraphNode)> = self
            .steps
            .iter()
            .flat_map(|(name, step)| outputs_of(name, step).into_iter().map(|node| (name.clone(), node)))
            .collect();
        for (name, node) in outputs {
            let GraphNode::Dataset(dataset) = &node else {
                continue;
            };
            self.datasets.insert(dataset.clone());
            if file.datasets.contains_key(dataset) {
                let message = format!("dataset `{dataset}` has a source and is also the output of step `{name}`");
                self.has_graph_error = true;
                self.error_at_key(&at!["steps", name], message, Some("rename the step".to_owned()));
            } else if let Some(first) = producers.insert(node.clone(), name.clone()) {
                self.has_graph_error = true;
                let message = format!("steps `{first}` and `{name}` both produce dataset `{dataset}`");
                self.error_at_key(&at!["steps", name], message, None);
            }
        }
    }

    /// Adds the datasets of predictions, which steps and triggers may name, and reports other datasets of those names.
    fn add_prediction_datasets(&mut self, file: &ProjectFile) {
        for endpoint in file.endpoints.keys() {
            let Some(predictions) = predictions_of(endpoint) else {
                continue;
            };
            if !self.datasets.insert(predictions.clone()) {
                let message = format!("`{predictions}` is reserved for the predictions of endpoint `{endpoint}`");
                let section = if file.datasets.contains_key(&predictions) { "datasets" } else { "steps" };
                self.error_at_key(&at![section, predictions], message, Some("rename the dataset".to_owned()));
            }
        }
    }

    fn validate_acyclic(&mut self, graph: &Graph) {
        let Some(cycle) = graph.cycle().filter(|_| !self.has_graph_error) else {
            return;
        };
        let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|step| format!("`{step}`")).collect();
        let first = cycle.first().map_or_else(Path::default, |step| at!["steps", step]);
        self.error_at_key(&first, format!("the steps form a cycle: {}", names.join(" needs ")), None);
    }

    /// Reports an error at the key that a path leads to.
    fn error_at_key(&mut self, at: &Path, message: impl Into<String>, suggestion: Option<String>) {
        let span = self.parsed.document.key_span(at);
        self.error_at(span, message, suggestion);
    }

    /// Reports an error at the value that a path leads to.
    fn error_at_value(&mut self, at: &Path, message: impl Into<String>, suggestion: Option<String>) {
        let span = self.parsed.document.value_span(at);
        self.error_at(span, message, suggestion);
    }

    fn error_at(&mut self, span: Range<usize>, message: impl Into<String>, suggestion: Option<String>) {
        let document = &self.parsed.document;
        let error = Diagnostic::new(document.name, document.text, span, message, suggestion);
        self.parsed.errors.push(error);
    }

    /// Whether the dataset exists, or was removed after another error.
    fn knows_dataset(&self, name: &str) -> bool {
        let exists = name.parse().is_ok_and(|name: DatasetName| self.datasets.contains(&name));
        exists || self.parsed.is_removed(&at!["datasets", name]) || self.parsed.is_removed(&at!["steps", name])
    }

    /// Reports at `at` that no dataset has this name, and suggests the nearest.
    fn unknown_dataset(&mut self, name: &str, at: &Path, message: String) {
        let suggestion = self.suggest_dataset(name);
        self.error_at_value(at, message, suggestion);
    }

    fn suggest_dataset(&self, name: &str) -> Option<String> {
        let known: Vec<String> = self.datasets.iter().map(ToString::to_string).collect();
        choose(name, &known.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The step of that name, if it produces a model; otherwise reports an error at `at`, unless the step was removed
    /// after another error.
    fn resolve_model(&mut self, name: &str, at: &Path) -> Option<StepName> {
        let parsed: Option<StepName> = name.parse().ok();
        match parsed.as_ref().and_then(|name| self.steps.get(name)) {
            Some(step) if step.produces_model() => parsed,
            Some(_) if self.parsed.is_affected(&at!["steps", name]) => None,
            Some(step) => {
                let kind = step.kind.as_str();
                let message = format!("step `{name}` produces no model: it is a `{kind}` step");
                let suggestion = (kind == "run").then(|| "declare an output of kind `model`".to_owned());
                self.error_at_value(at, message, suggestion);
                None
            }
            None if self.parsed.is_removed(&at!["steps", name]) => None,
            None => {
                let models = self.steps.iter().filter(|(_, step)| step.produces_model());
                let known: Vec<&str> = models.map(|(name, _)| name.as_str()).collect();
                let suggestion = choose(name, &known);
                self.error_at_value(
                    at,
                    format!("unknown step `{name}`, expected one that produces a model"),
                    suggestion,
                );
                None
            }
        }
    }

    /// Reports the name of a check, gate, alert or output that expressions could not use.
    fn validate_name(&mut self, noun: &str, name: &str, at: &Path) {
        if name.parse::<StepName>().is_err() {
            let message = format!(
                "`{name}` is not a valid {noun} name, \
                 expected a lowercase letter, then lowercase letters, digits, `_` or `-`"
            );
            self.error_at_key(at, message, None);
        }
    }

    /// Reports empty and repeated names in a list of columns.
    fn validate_columns(&mut self, columns: &[String], at: &Path) {
        let mut seen = BTreeSet::new();
        for (index, column) in columns.iter().enumerate() {
            let element = at.join(index);
            if column.is_empty() {
                self.error_at_value(&element, "the column name is empty", None);
            } else if !seen.insert(column) {
                self.error_at_value(&element, format!("column `{column}` is listed twice"), None);
            }
        }
    }
}
