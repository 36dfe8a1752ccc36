//! What the file says to others: files that are to be there, SQL of steps and checks, trainers and their parameters.

use std::collections::BTreeMap;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::path::RelativePath;
use perennial_core::rule::choose;
use serde_json::{Map, Value};

use super::Judge;
use crate::document::{Path, at};
use crate::file::CheckEntry;
use crate::project::{Act, Environment};
use crate::surroundings::{Param, ParamKind, Surroundings, TrainerSpec};

impl Judge<'_, '_> {
    /// Judges the conditions of checks, and the files, SQL and trainers of steps; gives the tables of each `sql` step.
    pub(super) fn look_around(
        &mut self,
        around: &Surroundings<'_>,
        checks: &BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    ) -> BTreeMap<StepName, Vec<String>> {
        for (dataset, entries) in checks {
            for (name, entry) in entries {
                self.judge_condition(around, entry, &at!["checks", dataset, name]);
            }
        }
        let mut tables = BTreeMap::new();
        for (name, step) in self.steps.clone() {
            let at = at!["steps", name];
            match &step.act {
                Act::Sql { file } => {
                    if let Some(found) = self.judge_sql(around, file, &at.then("sql")) {
                        tables.insert(name, found);
                    }
                }
                Act::Train { trainer, params } => {
                    self.judge_trainer(around.trainers, trainer, params, &at);
                }
                Act::Run(run) => {
                    for (index, code) in run.code.iter().enumerate() {
                        if is_inside(code) && !around.files.any(code) {
                            let message = format!("no file is found at `{code}`");
                            self.value(&at.then("code").then(index), message, None);
                        }
                    }
                    if let Environment::Uv { file } = &run.environment
                        && is_inside(file)
                        && !around.files.exists(file)
                    {
                        self.value(&at.then("env"), format!("no file is found at `{file}`"), None);
                    }
                }
                Act::Evaluate { .. } => {}
            }
        }
        tables
    }

    fn judge_condition(&mut self, around: &Surroundings<'_>, entry: &CheckEntry, at: &Path) {
        let (condition, at) = match entry {
            CheckEntry::That(condition) => (condition, at.clone()),
            CheckEntry::Table(table) => match &table.that {
                Some(condition) => (condition, at.then("that")),
                None => return,
            },
        };
        // An empty one was told already.
        if !condition.trim().is_empty()
            && let Err(error) = around.sql.judge_condition(condition)
        {
            self.value(&at, error.message().to_owned(), error.hint_text().map(str::to_owned));
        }
    }

    fn judge_sql(&mut self, around: &Surroundings<'_>, file: &str, at: &Path) -> Option<Vec<String>> {
        if !is_inside(file) {
            return None;
        }
        if !around.files.exists(file) {
            self.value(at, format!("no file is found at `{file}`"), Some("write its SELECT there".to_owned()));
            return None;
        }
        let Some(sql) = around.files.read(file) else {
            self.value(at, format!("`{file}` is no UTF-8 text"), None);
            return None;
        };
        let tables = match around.sql.tables_in(&sql) {
            Ok(tables) => tables,
            Err(error) => {
                self.value(at, format!("in `{file}`: {}", error.message()), error.hint_text().map(str::to_owned));
                return None;
            }
        };
        for table in &tables {
            if !self.knows_dataset(table) {
                self.unknown_dataset(table, at, format!("`{file}` names the table `{table}`, which is no dataset"));
            }
        }
        Some(tables)
    }

    fn judge_trainer(&mut self, trainers: &[TrainerSpec], name: &str, params: &Map<String, Value>, at: &Path) {
        let Some(trainer) = trainers.iter().find(|trainer| trainer.name == name) else {
            let known: Vec<&str> = trainers.iter().map(|trainer| trainer.name).collect();
            let message = format!("no trainer `{name}` is built in");
            self.value(&at.then("train"), message, choose(name, &known));
            return;
        };
        for (key, value) in params {
            let place = at.then("params").then(key);
            match trainer.params.iter().find(|param| param.name == key) {
                None => {
                    let known: Vec<&str> = trainer.params.iter().map(|param| param.name).collect();
                    self.key(place, format!("trainer `{name}` has no parameter `{key}`"), choose(key, &known));
                }
                Some(param) if !fits(param, value) => {
                    self.value(&place, format!("`{key}` is {}, expected {}", shown(value), wanted(param)), None);
                }
                Some(_) => {}
            }
        }
    }
}

/// Whether the path stays in the project's folder; one that does not was told already.
fn is_inside(path: &str) -> bool {
    path.parse::<RelativePath>().is_ok()
}

fn fits(param: &Param, value: &Value) -> bool {
    match param.kind {
        ParamKind::Whole(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
        ParamKind::Number(least, most) => value.as_f64().is_some_and(|number| (least..=most).contains(&number)),
        ParamKind::Bool => value.is_boolean(),
        ParamKind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
    }
}

fn wanted(param: &Param) -> String {
    match param.kind {
        ParamKind::Whole(least, most) => format!("a whole number from {least} to {most}"),
        ParamKind::Number(least, most) => format!("a number from {least} to {most}"),
        ParamKind::Bool => "true or false".to_owned(),
        ParamKind::Word(words) => format!("one of {}", words.join(", ")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text \"{text}\""),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}
