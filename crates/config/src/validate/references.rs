//! References to things outside the file: files, SQL of steps and checks, trainers and their parameters.

use std::collections::BTreeMap;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::path::RelativePath;
use perennial_core::rule::choose;
use serde_json::{Map, Value};

use super::Validator;
use crate::document::{Path, at};
use crate::file::CheckEntry;
use crate::project::{Environment, Run, StepKind};
use crate::validation_context::{Param, ParamKind, TrainerSpec, ValidationContext};

impl Validator<'_, '_> {
    /// Validates the conditions of checks, and the files, SQL and trainers of steps; returns the tables that each
    /// `sql` step reads.
    pub(super) fn validate_references(
        &mut self,
        context: &ValidationContext<'_>,
        checks: &BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    ) -> BTreeMap<StepName, Vec<String>> {
        for (dataset, entries) in checks {
            for (name, entry) in entries {
                self.validate_condition(context, entry, &at!["checks", dataset, name]);
            }
        }
        let mut tables = BTreeMap::new();
        for (name, step) in self.steps.clone() {
            let at = at!["steps", name];
            match &step.kind {
                StepKind::Sql { file } => {
                    if let Some(found) = self.validate_sql(context, file, &at.join("sql")) {
                        tables.insert(name, found);
                    }
                }
                StepKind::Train { trainer, params } => {
                    self.validate_trainer(context.trainers, trainer, params, &at);
                }
                StepKind::Run(run) => self.validate_run_files(context, run, &at),
                StepKind::Evaluate { .. } => {}
            }
        }
        tables
    }

    fn validate_condition(&mut self, context: &ValidationContext<'_>, entry: &CheckEntry, at: &Path) {
        let (condition, at) = match entry {
            CheckEntry::Condition(condition) => (condition, at.clone()),
            CheckEntry::Table(table) => match &table.that {
                Some(condition) => (condition, at.join("that")),
                None => return,
            },
        };
        // An empty condition was already reported.
        if !condition.trim().is_empty()
            && let Err(error) = context.sql.validate_condition(condition)
        {
            self.error_at_value(&at, error.message().to_owned(), error.hint().map(str::to_owned));
        }
    }

    fn validate_sql(&mut self, context: &ValidationContext<'_>, file: &str, at: &Path) -> Option<Vec<String>> {
        if !is_inside(file) {
            return None;
        }
        if !context.files.exists(file) {
            let suggestion = Some("create it with the step's SELECT".to_owned());
            self.error_at_value(at, format!("file `{file}` does not exist"), suggestion);
            return None;
        }
        let Some(sql) = context.files.read(file) else {
            self.error_at_value(at, format!("file `{file}` is not UTF-8 text"), None);
            return None;
        };
        let tables = match context.sql.tables_in(&sql) {
            Ok(tables) => tables,
            Err(error) => {
                let message = format!("in `{file}`: {}", error.message());
                self.error_at_value(at, message, error.hint().map(str::to_owned));
                return None;
            }
        };
        for table in &tables {
            if !self.knows_dataset(table) {
                self.unknown_dataset(table, at, format!("`{file}` reads table `{table}`, which is not a dataset"));
            }
        }
        Some(tables)
    }

    fn validate_run_files(&mut self, context: &ValidationContext<'_>, run: &Run, at: &Path) {
        for (index, code) in run.code.iter().enumerate() {
            if is_inside(code) && !context.files.any(code) {
                self.error_at_value(&at.join("code").join(index), format!("no file matches `{code}`"), None);
            }
        }
        if let Environment::Uv { file } = &run.environment
            && is_inside(file)
            && !context.files.exists(file)
        {
            self.error_at_value(&at.join("env"), format!("file `{file}` does not exist"), None);
        }
    }

    fn validate_trainer(&mut self, trainers: &[TrainerSpec], name: &str, params: &Map<String, Value>, at: &Path) {
        let Some(trainer) = trainers.iter().find(|trainer| trainer.name == name) else {
            let known: Vec<&str> = trainers.iter().map(|trainer| trainer.name).collect();
            self.error_at_value(&at.join("train"), format!("unknown trainer `{name}`"), choose(name, &known));
            return;
        };
        for (key, value) in params {
            let at = at.join("params").join(key);
            match trainer.params.iter().find(|param| param.name == key) {
                None => {
                    let known: Vec<&str> = trainer.params.iter().map(|param| param.name).collect();
                    let message = format!("trainer `{name}` has no parameter `{key}`");
                    self.error_at_key(&at, message, choose(key, &known));
                }
                Some(param) if !accepts(param, value) => {
                    let message = format!("`{key}` is {}, expected {}", describe(value), expected(param));
                    self.error_at_value(&at, message, None);
                }
                Some(_) => {}
            }
        }
    }
}

/// Whether the path stays in the project's folder; others were already reported.
fn is_inside(path: &str) -> bool {
    path.parse::<RelativePath>().is_ok()
}

fn accepts(param: &Param, value: &Value) -> bool {
    match param.kind {
        ParamKind::Whole(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
        ParamKind::Number(least, most) => value.as_f64().is_some_and(|number| (least..=most).contains(&number)),
        ParamKind::Bool => value.is_boolean(),
        ParamKind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
    }
}

/// The values that a parameter accepts, for messages.
fn expected(param: &Param) -> String {
    match param.kind {
        ParamKind::Whole(least, most) => format!("a whole number from {least} to {most}"),
        ParamKind::Number(least, most) => format!("a number from {least} to {most}"),
        ParamKind::Bool => "true or false".to_owned(),
        ParamKind::Word(words) => format!("one of {}", words.join(", ")),
    }
}

/// A value, for messages.
fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string \"{text}\""),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}
