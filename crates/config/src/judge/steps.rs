//! `[steps.*]`.

use std::collections::BTreeMap;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::rule::{RESERVED_NAMES, choose};

use super::Judge;
use crate::document::{Path, at};
use crate::file::{OutputKind, OutputTable, ProjectFile, StepTable, Words};
use crate::project::{Act, Environment, Input, Output, Run, Step, StepLimits};

/// How often a command is tried again at most.
const RETRIES_MAX: u32 = 10;

const KINDS: [&str; 4] = ["sql", "train", "run", "evaluate"];

impl Judge<'_, '_> {
    /// Reads the steps that are of one kind and say all it needs. Names they use are judged later.
    pub(super) fn read_steps(&mut self, file: &ProjectFile) -> BTreeMap<StepName, Step> {
        let mut steps = BTreeMap::new();
        for (name, table) in &file.steps {
            let at = at!["steps", name];
            match self.read_step(table, &at) {
                Some(act) => {
                    steps.insert(name.clone(), Step { act });
                }
                None => self.shape.cut.push(at),
            }
        }
        steps
    }

    fn read_step(&mut self, table: &StepTable, at: &Path) -> Option<Act> {
        let said = [table.sql.is_some(), table.train.is_some(), table.run.is_some(), table.evaluate.is_some()];
        let kinds: Vec<&str> =
            KINDS.into_iter().zip(said).filter(|(_, is_said)| *is_said).map(|(kind, _)| kind).collect();
        let [kind] = kinds.as_slice() else {
            if KINDS.iter().all(|kind| !self.shape.is_cut(&at.then(kind))) {
                let message = match kinds.as_slice() {
                    [] => "the step does nothing, expected `sql`, `train`, `run` or `evaluate`".to_owned(),
                    several => format!("the step is of several kinds: `{}`", several.join("`, `")),
                };
                self.key(at.clone(), message, None);
            }
            return None;
        };
        self.judge_keys(table, kind, at);
        match (table.sql.as_ref(), table.train.as_ref(), table.run.as_ref(), table.evaluate.as_ref()) {
            (Some(file), ..) => {
                self.judge_path(file, &at.then("sql"));
                Some(Act::Sql { file: file.clone() })
            }
            (_, Some(trainer), ..) => {
                Some(Act::Train { trainer: trainer.clone(), params: table.params.clone().unwrap_or_default() })
            }
            (_, _, Some(words), _) => self.read_run(table, words, at).map(|run| Act::Run(Box::new(run))),
            (.., Some(models)) => {
                let models = models.iter().filter_map(|model| model.parse().ok()).collect();
                Some(Act::Evaluate { models, slices: table.slices.clone().unwrap_or_default() })
            }
            _ => None,
        }
    }

    /// Tells keys that belong to steps of another kind.
    fn judge_keys(&mut self, table: &StepTable, kind: &str, at: &Path) {
        let keys: [(&str, bool, &[&str]); 9] = [
            ("slices", table.slices.is_some(), &["evaluate"]),
            ("params", table.params.is_some(), &["train", "run"]),
            ("inputs", table.inputs.is_some(), &["run"]),
            ("code", table.code.is_some(), &["run"]),
            ("env", table.env.is_some(), &["run"]),
            ("outputs", table.outputs.is_some(), &["run"]),
            ("limits", table.limits.is_some(), &["run"]),
            ("retries", table.retries.is_some(), &["run"]),
            ("isolation", table.isolation.is_some(), &["run"]),
        ];
        for (key, is_said, kinds) in keys {
            if is_said && !kinds.contains(&kind) {
                let suggestion = (key == "inputs").then(|| match kind {
                    "sql" => "the tables its SQL names are its inputs".to_owned(),
                    _ => "its input is the `data` of `[task]`".to_owned(),
                });
                let message = format!("`{key}` belongs to `{}` steps, this one is `{kind}`", kinds.join("` and `"));
                self.key(at.then(key), message, suggestion);
            }
        }
    }

    fn read_run(&mut self, table: &StepTable, words: &Words, at: &Path) -> Option<Run> {
        let argv = match words {
            Words::List(argv) => Some(argv.clone()),
            Words::Text(text) => shlex::split(text),
        };
        let Some(argv) = argv else {
            let message = "the command does not split into words: a quote is not closed";
            self.value(&at.then("run"), message, Some("write it as a list of words".to_owned()));
            return None;
        };
        if argv.first().is_none_or(String::is_empty) {
            self.value(&at.then("run"), "the command is empty", Some("such as `\"python train.py\"`".to_owned()));
            return None;
        }
        for (index, code) in table.code.iter().flatten().enumerate() {
            self.judge_path(code, &at.then("code").then(index));
        }
        let limits = table.limits.clone().unwrap_or_default();
        if limits.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0) {
            self.value(&at.then("limits").then("cpus"), "`cpus` is a number above 0", None);
        }
        let retries = table.retries.unwrap_or(0);
        if retries > RETRIES_MAX {
            self.value(&at.then("retries"), format!("`retries` is at most {RETRIES_MAX}"), None);
        }
        Some(Run {
            argv,
            inputs: table.inputs.iter().flatten().filter_map(|input| self.read_input(input)).collect(),
            code: table.code.clone().unwrap_or_default(),
            environment: self.read_environment(table.env.as_deref(), &at.then("env")),
            params: table.params.clone().unwrap_or_default(),
            outputs: self.read_outputs(table.outputs.as_ref(), &at.then("outputs")),
            limits: StepLimits { time: limits.time, memory: limits.memory, cpus: limits.cpus },
            retries,
            isolation: table.isolation.unwrap_or_default(),
        })
    }

    /// Reads an input by its form alone; whether it is there is judged when all steps are read.
    fn read_input(&self, text: &str) -> Option<Input> {
        let Some((first, part)) = text.split_once('.') else {
            return text.parse().ok().map(Input::Dataset);
        };
        let data: Option<DatasetName> = first.parse().ok();
        let is_data = self.task.as_ref().is_some_and(|task| Some(&task.data) == data.as_ref());
        match (part, data) {
            ("train", Some(data)) if is_data => Some(Input::Train(data)),
            ("test", Some(data)) if is_data => Some(Input::Test(data)),
            _ => Some(Input::Output { step: first.parse().ok()?, output: part.to_owned() }),
        }
    }

    fn read_environment(&mut self, text: Option<&str>, at: &Path) -> Environment {
        let Some(text) = text.filter(|text| *text != "system") else {
            return Environment::System;
        };
        match text.split_once(':') {
            Some(("uv", file)) => {
                self.judge_path(file, at);
                return Environment::Uv { file: file.to_owned() };
            }
            Some((kind @ ("conda" | "image"), _)) => {
                let message = format!("`{kind}:` environments are planned, not in this version");
                self.value(at, message, Some("use `uv:<requirements or lock>` or `system`".to_owned()));
            }
            _ => {
                let message = format!("`{text}` is no environment, expected `uv:<requirements or lock>` or `system`");
                self.value(at, message, Some("such as `\"uv:requirements.txt\"`".to_owned()));
            }
        }
        Environment::System
    }

    fn read_outputs(&mut self, outputs: Option<&BTreeMap<String, OutputTable>>, at: &Path) -> BTreeMap<String, Output> {
        let mut read = BTreeMap::new();
        let mut model: Option<&str> = None;
        for (name, output) in outputs.into_iter().flatten() {
            let here: Path = at.then(name);
            self.judge_name(if output.kind == OutputKind::Dataset { "dataset" } else { "output" }, name, here.clone());
            self.judge_path(&output.path, &here.then("path"));
            if output.kind == OutputKind::Model
                && let Some(first) = model.replace(name)
            {
                self.key(here, format!("a step makes one model, this one has `{first}` already"), None);
            }
            read.insert(name.clone(), Output { path: output.path.clone(), kind: output.kind });
        }
        read
    }

    /// Judges the names steps have and use.
    pub(super) fn judge_steps(&mut self, file: &ProjectFile) {
        let has_task = self.task.is_some() || self.shape.is_cut(&at!["task"]);
        for (name, table) in &file.steps {
            let at = at!["steps", name];
            if RESERVED_NAMES.contains(&name.as_str()) {
                let message = format!("`{name}` is the name of a fact in gates and alerts, no step can have it");
                self.key(at.clone(), message, Some("give the step another name".to_owned()));
            }
            let Some(step) = self.steps.get(name).cloned() else {
                continue;
            };
            if step.makes_model() && name.as_str().contains('-') {
                let suggestion = Some(format!("name it `{}`", name.as_str().replace('-', "_")));
                self.key(
                    at.clone(),
                    format!("`{name}` makes a model, which gates name: `-` would be read as minus"),
                    suggestion,
                );
            }
            match &step.act {
                Act::Train { .. } if !has_task => {
                    self.key(at.then("train"), "a `train` step learns the `[task]`, which is missing", None);
                }
                Act::Evaluate { .. } => {
                    if !has_task {
                        self.key(at.then("evaluate"), "an `evaluate` step judges the `[task]`, which is missing", None);
                    }
                    self.judge_evaluate(table, &at);
                }
                Act::Run(_) => self.judge_inputs(name, table, &at),
                Act::Sql { .. } | Act::Train { .. } => {}
            }
        }
    }

    fn judge_evaluate(&mut self, table: &StepTable, at: &Path) {
        let models = table.evaluate.as_deref().unwrap_or_default();
        if models.is_empty() {
            self.value(&at.then("evaluate"), "`evaluate` names no step whose model is to be judged", None);
        }
        for (index, model) in models.iter().enumerate() {
            let place = at.then("evaluate").then(index);
            if models[..index].contains(model) {
                self.value(&place, format!("step `{model}` is named twice"), None);
            } else {
                self.model(model, &place);
            }
        }
        let slices = table.slices.as_deref().unwrap_or_default();
        self.judge_columns(slices, &at.then("slices"));
        for (index, column) in slices.iter().enumerate() {
            if self.task.as_ref().is_some_and(|task| task.target == *column) {
                self.value(
                    &at.then("slices").then(index),
                    format!("column `{column}` is the `target`: its slices have one outcome"),
                    None,
                );
            }
        }
    }

    fn judge_inputs(&mut self, name: &StepName, table: &StepTable, at: &Path) {
        for (index, text) in table.inputs.iter().flatten().enumerate() {
            let place = at.then("inputs").then(index);
            let (first, part) = text.split_once('.').map_or((text.as_str(), None), |(first, part)| (first, Some(part)));
            let Some(part) = part else {
                if !self.knows_dataset(first) {
                    self.unknown_dataset(first, &place, format!("unknown dataset `{first}`"));
                }
                continue;
            };
            let is_data = self.task.as_ref().is_some_and(|task| task.data.as_str() == first);
            if is_data && matches!(part, "train" | "test") || self.shape.is_cut(&at!["steps", first]) {
                continue;
            }
            if first == name.as_str() {
                self.is_tangled = true;
                self.value(&place, format!("step `{name}` reads its own output"), None);
                continue;
            }
            let outputs: Vec<String> =
                match first.parse().ok().and_then(|step: StepName| self.steps.get(&step)).map(|step| &step.act) {
                    Some(Act::Train { .. }) => vec!["model".to_owned()],
                    Some(Act::Run(run)) => run
                        .outputs
                        .iter()
                        .filter(|(_, output)| output.kind != OutputKind::Dataset)
                        .map(|(name, _)| name.clone())
                        .collect(),
                    _ => Vec::new(),
                };
            if outputs.iter().any(|output| output == part) {
                continue;
            }
            let suggestion = if is_data {
                choose(part, &["train", "test"])
            } else if outputs.is_empty() {
                Some("inputs are a dataset, `<task data>.train`, `<task data>.test` or `<step>.<output>`".to_owned())
            } else {
                choose(part, &outputs.iter().map(String::as_str).collect::<Vec<_>>())
            };
            self.value(&place, format!("unknown input `{text}`"), suggestion);
        }
    }
}
