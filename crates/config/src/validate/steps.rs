//! `[steps.*]`.

use std::collections::BTreeMap;

use perennial_core::name::StepName;
use perennial_core::rule::RESERVED_NAMES;

use super::Validator;
use crate::document::{Path, at};
use crate::file::{ProjectFile, StepTable};
use crate::project::{Step, StepKind};

/// The keys that declare a step's kind.
const KINDS: [&str; 4] = ["sql", "train", "run", "evaluate"];

impl Validator<'_, '_> {
    /// Converts the steps without errors of their own. The names they use are validated later, by
    /// [`Validator::validate_steps`].
    pub(super) fn parse_steps(&mut self, file: &ProjectFile) -> BTreeMap<StepName, Step> {
        let mut steps = BTreeMap::new();
        for (name, table) in &file.steps {
            let at = at!["steps", name];
            match self.parse_step(table, &at) {
                Some(kind) => {
                    steps.insert(name.clone(), Step { kind });
                }
                None => self.parsed.removed.push(at),
            }
        }
        steps
    }

    fn parse_step(&mut self, table: &StepTable, at: &Path) -> Option<StepKind> {
        let kind = self.only_step_kind(table, at)?;
        self.validate_keys(table, kind, at);
        match (table.sql.as_ref(), table.train.as_ref(), table.run.as_ref(), table.evaluate.as_ref()) {
            (Some(file), ..) => {
                self.validate_path(file, &at.join("sql"));
                Some(StepKind::Sql { file: file.clone() })
            }
            (_, Some(trainer), ..) => {
                Some(StepKind::Train { trainer: trainer.clone(), params: table.params.clone().unwrap_or_default() })
            }
            (_, _, Some(command), _) => self.parse_run(table, command, at).map(|run| StepKind::Run(Box::new(run))),
            (.., Some(models)) => {
                let models = models.iter().filter_map(|model| model.parse().ok()).collect();
                Some(StepKind::Evaluate { models, slices: table.slices.clone().unwrap_or_default() })
            }
            _ => None,
        }
    }

    /// The one key that declares the step's kind; reports none and several.
    fn only_step_kind(&mut self, table: &StepTable, at: &Path) -> Option<&'static str> {
        let declared = [table.sql.is_some(), table.train.is_some(), table.run.is_some(), table.evaluate.is_some()];
        let kinds: Vec<&str> =
            KINDS.into_iter().zip(declared).filter(|(_, is_declared)| *is_declared).map(|(kind, _)| kind).collect();
        if let [kind] = kinds.as_slice() {
            return Some(kind);
        }
        if KINDS.iter().all(|kind| !self.parsed.is_removed(&at.join(kind))) {
            let message = match kinds.as_slice() {
                [] => "the step needs one of `sql`, `train`, `run` or `evaluate`".to_owned(),
                several => format!("the step combines `{}`, expected only one of them", several.join("` and `")),
            };
            self.error_at_key(at, message, None);
        }
        None
    }

    /// Reports keys that belong to steps of another kind.
    fn validate_keys(&mut self, table: &StepTable, kind: &str, at: &Path) {
        let keys: [(&str, bool, &[&str]); 10] = [
            ("slices", table.slices.is_some(), &["evaluate"]),
            ("params", table.params.is_some(), &["train", "run"]),
            ("inputs", table.inputs.is_some(), &["run"]),
            ("code", table.code.is_some(), &["run"]),
            ("env", table.env.is_some(), &["run"]),
            ("outputs", table.outputs.is_some(), &["run"]),
            ("limits", table.limits.is_some(), &["run"]),
            ("retries", table.retries.is_some(), &["run"]),
            ("isolation", table.isolation.is_some(), &["run"]),
            ("network", table.network.is_some(), &["run"]),
        ];
        for (key, is_declared, kinds) in keys {
            if is_declared && !kinds.contains(&kind) {
                let suggestion = (key == "inputs").then(|| match kind {
                    "sql" => "the tables its SQL reads are its inputs".to_owned(),
                    _ => "its input is the `data` of `[task]`".to_owned(),
                });
                let message = format!("`{key}` belongs to `{}` steps, this one is `{kind}`", kinds.join("` and `"));
                self.error_at_key(&at.join(key), message, suggestion);
            }
        }
    }

    /// Validates the names of steps, and the names that steps use.
    pub(super) fn validate_steps(&mut self, file: &ProjectFile) {
        let has_task = self.task.is_some() || self.parsed.is_removed(&at!["task"]);
        for (name, table) in &file.steps {
            let at = at!["steps", name];
            let Some(step) = self.steps.get(name).cloned() else {
                self.validate_step_name(name, false, &at);
                continue;
            };
            self.validate_step_name(name, step.produces_model(), &at);
            match &step.kind {
                StepKind::Train { .. } | StepKind::Evaluate { .. } if !has_task => {
                    let kind = step.kind.as_str();
                    let article = if kind == "evaluate" { "an" } else { "a" };
                    let message = format!("{article} `{kind}` step needs `[task]`, which is missing");
                    self.error_at_key(&at.join(kind), message, None);
                }
                _ => {}
            }
            match &step.kind {
                StepKind::Evaluate { .. } => self.validate_evaluate(table, &at),
                StepKind::Run(_) => self.validate_inputs(name, table, &at),
                StepKind::Sql { .. } | StepKind::Train { .. } => {}
            }
        }
    }

    /// Reports names that gates could not use.
    fn validate_step_name(&mut self, name: &StepName, produces_model: bool, at: &Path) {
        if RESERVED_NAMES.contains(&name.as_str()) {
            let message = format!("`{name}` is a fact in gates and alerts and cannot be the name of a step");
            self.error_at_key(at, message, Some("rename the step".to_owned()));
        }
        if produces_model && name.as_str().contains('-') {
            let message = format!("the model of step `{name}` cannot be named in gates: they parse `-` as minus");
            let suggestion = Some(format!("name it `{}`", name.as_str().replace('-', "_")));
            self.error_at_key(at, message, suggestion);
        }
    }

    fn validate_evaluate(&mut self, table: &StepTable, at: &Path) {
        let models = table.evaluate.as_deref().unwrap_or_default();
        if models.is_empty() {
            self.error_at_value(&at.join("evaluate"), "`evaluate` is empty, expected steps that produce models", None);
        }
        for (index, model) in models.iter().enumerate() {
            let at = at.join("evaluate").join(index);
            if models[..index].contains(model) {
                self.error_at_value(&at, format!("step `{model}` is listed twice"), None);
            } else {
                self.resolve_model(model, &at);
            }
        }
        let slices = table.slices.as_deref().unwrap_or_default();
        self.validate_columns(slices, &at.join("slices"));
        for (index, column) in slices.iter().enumerate() {
            if self.task.as_ref().is_some_and(|task| task.target == *column) {
                let message = format!("column `{column}` is the `target`: each of its slices has only one outcome");
                self.error_at_value(&at.join("slices").join(index), message, None);
            }
        }
    }
}
