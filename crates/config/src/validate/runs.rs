//! `[steps.*]` that run a command.

use std::collections::BTreeMap;

use perennial_core::name::{DatasetName, StepName};
use perennial_core::rule::choose;

use super::Validator;
use crate::document::{Path, at};
use crate::file::{OneOrMany, OutputKind, OutputTable, StepTable};
use crate::project::{Environment, Input, Output, Run, StepKind, StepLimits};

/// The most retries of a failed command.
const RETRIES_MAX: u32 = 10;

impl Validator<'_, '_> {
    pub(super) fn parse_run(&mut self, table: &StepTable, command: &OneOrMany, at: &Path) -> Option<Run> {
        let argv = match command {
            OneOrMany::Many(argv) => Some(argv.clone()),
            OneOrMany::One(text) => shlex::split(text),
        };
        let Some(argv) = argv else {
            let message = "cannot split the command into words: a quote is not closed";
            self.error_at_value(&at.join("run"), message, Some("write it as a list of words".to_owned()));
            return None;
        };
        if argv.first().is_none_or(String::is_empty) {
            let suggestion = Some("for example `\"python train.py\"`".to_owned());
            self.error_at_value(&at.join("run"), "the command is empty", suggestion);
            return None;
        }
        for (index, code) in table.code.iter().flatten().enumerate() {
            self.validate_path(code, &at.join("code").join(index));
        }
        let limits = table.limits.clone().unwrap_or_default();
        if limits.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0) {
            self.error_at_value(&at.join("limits").join("cpus"), "`cpus` must be above 0", None);
        }
        let retries = table.retries.unwrap_or(0);
        if retries > RETRIES_MAX {
            self.error_at_value(&at.join("retries"), format!("`retries` must be at most {RETRIES_MAX}"), None);
        }
        Some(Run {
            argv,
            inputs: table.inputs.iter().flatten().filter_map(|input| self.parse_input(input)).collect(),
            code: table.code.clone().unwrap_or_default(),
            environment: self.parse_environment(table.env.as_deref(), &at.join("env")),
            params: table.params.clone().unwrap_or_default(),
            outputs: self.parse_outputs(table.outputs.as_ref(), &at.join("outputs")),
            limits: StepLimits { time: limits.time, memory: limits.memory, cpus: limits.cpus },
            retries,
            isolation: table.isolation.unwrap_or_default(),
            network: table.network.unwrap_or_default(),
        })
    }

    /// Parses an input by its syntax; whether it exists is validated once all steps are known.
    fn parse_input(&self, text: &str) -> Option<Input> {
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

    fn parse_environment(&mut self, text: Option<&str>, at: &Path) -> Environment {
        let Some(text) = text.filter(|text| *text != "system") else {
            return Environment::System;
        };
        match text.split_once(':') {
            Some(("uv", file)) => {
                self.validate_path(file, at);
                return Environment::Uv { file: file.to_owned() };
            }
            Some((kind @ ("conda" | "image"), _)) => {
                let message = format!("`{kind}:` environments are not supported yet");
                self.error_at_value(at, message, Some("use `uv:<requirements or lock>` or `system`".to_owned()));
            }
            _ => {
                let message = format!("unknown environment `{text}`, expected `uv:<requirements or lock>` or `system`");
                self.error_at_value(at, message, Some("for example `\"uv:requirements.txt\"`".to_owned()));
            }
        }
        Environment::System
    }

    fn parse_outputs(
        &mut self,
        outputs: Option<&BTreeMap<String, OutputTable>>,
        at: &Path,
    ) -> BTreeMap<String, Output> {
        let mut parsed = BTreeMap::new();
        let mut model: Option<&str> = None;
        for (name, output) in outputs.into_iter().flatten() {
            let at = at.join(name);
            self.validate_name(if output.kind == OutputKind::Dataset { "dataset" } else { "output" }, name, &at);
            self.validate_path(&output.path, &at.join("path"));
            if output.kind == OutputKind::Model
                && let Some(first) = model.replace(name)
            {
                let message = format!("a step produces at most one model, and `{first}` is one already");
                self.error_at_key(&at, message, None);
            }
            parsed.insert(name.clone(), Output { path: output.path.clone(), kind: output.kind });
        }
        parsed
    }

    /// Reports inputs that do not exist.
    pub(super) fn validate_inputs(&mut self, name: &StepName, table: &StepTable, at: &Path) {
        for (index, text) in table.inputs.iter().flatten().enumerate() {
            let at = at.join("inputs").join(index);
            match text.split_once('.') {
                Some((first, part)) => self.validate_part(name, text, (first, part), &at),
                None if !self.knows_dataset(text) => {
                    self.unknown_dataset(text, &at, format!("unknown dataset `{text}`"));
                }
                None => {}
            }
        }
    }

    /// Reports an input of the form `first.part` that is neither a part of the task's dataset nor an output of a step.
    fn validate_part(&mut self, name: &StepName, text: &str, (first, part): (&str, &str), at: &Path) {
        let is_data = self.task.as_ref().is_some_and(|task| task.data.as_str() == first);
        let is_part = matches!(part, "train" | "test");
        // A task with mistakes names no dataset; its mistakes are reported, and this would only follow from them.
        let task_is_unknown = self.task.is_none() && self.parsed.is_affected(&at!["task"]);
        if (is_data || task_is_unknown) && is_part || self.parsed.is_removed(&at!["steps", first]) {
            return;
        }
        if first == name.as_str() {
            self.has_graph_error = true;
            self.error_at_value(at, format!("step `{name}` reads its own output"), None);
            return;
        }
        let outputs = self.readable_outputs(first);
        if outputs.iter().any(|output| output == part) {
            return;
        }
        let suggestion = if is_data {
            choose(text, &[format!("{first}.train").as_str(), format!("{first}.test").as_str()])
        } else if outputs.is_empty() {
            Some("expected a dataset, `<task data>.train`, `<task data>.test` or `<step>.<output>`".to_owned())
        } else {
            let known: Vec<String> = outputs.iter().map(|output| format!("{first}.{output}")).collect();
            choose(text, &known.iter().map(String::as_str).collect::<Vec<_>>())
        };
        self.error_at_value(at, format!("unknown input `{text}`"), suggestion);
    }

    /// The outputs of a step that other steps name as `step.output`: its model and files, not its datasets.
    fn readable_outputs(&self, step: &str) -> Vec<String> {
        let step = step.parse().ok().and_then(|step: StepName| self.steps.get(&step));
        match step.map(|step| &step.kind) {
            Some(StepKind::Train { .. }) => vec!["model".to_owned()],
            Some(StepKind::Run(run)) => {
                let outputs = run.outputs.iter().filter(|(_, output)| output.kind != OutputKind::Dataset);
                outputs.map(|(name, _)| name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }
}
