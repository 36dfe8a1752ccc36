//! Expressions: gates, alerts and rollback rules, typed against the published facts.

use std::collections::BTreeMap;

use perennial_core::rule::{Expression, FactSchema};

use super::Judge;
use crate::document::{Path, at};
use crate::file::ProjectFile;
use crate::project::Act;

impl Judge<'_, '_> {
    /// Parses and types one expression; `None` when it does not hold, which is told at its place.
    pub(super) fn read_rule(&mut self, text: &str, at: &Path, facts: Option<&FactSchema>) -> Option<Expression> {
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => {
                let span = self.shape.document.span_inside(at, error.span);
                self.tell(span, error.message, None);
                return None;
            }
        };
        let problems = facts.map_or_else(Vec::new, |facts| expression.check(facts));
        let is_sound = problems.is_empty();
        for problem in problems {
            let span = self.shape.document.span_inside(at, problem.span);
            self.tell(span, problem.message, problem.suggestion);
        }
        is_sound.then_some(expression)
    }

    /// `None` when a gate does not hold together.
    pub(super) fn read_gates(&mut self, file: &ProjectFile) -> Option<BTreeMap<String, Expression>> {
        if file.gates.is_empty() {
            return Some(BTreeMap::new());
        }
        if file.release.is_none() && !self.shape.is_cut(&at!["release"]) {
            let message = "gates judge the model of `[release]`, which is missing";
            self.key(at!["gates"], message, Some("add `[release]` with `model = \"…\"`".to_owned()));
        }
        let facts = self.gate_facts(file);
        let mut gates = Some(BTreeMap::new());
        for (name, text) in &file.gates {
            let at = at!["gates", name];
            self.judge_name("gate", name, at.clone());
            match (self.read_rule(text, &at, facts.as_ref()), &mut gates) {
                (Some(expression), Some(gates)) => {
                    gates.insert(name.clone(), expression);
                }
                _ => gates = None,
            }
        }
        gates
    }

    /// The facts of gates: the models that are judged together with the release's.
    fn gate_facts(&self, file: &ProjectFile) -> Option<FactSchema> {
        let task = self.task.as_ref()?;
        let candidate = &file.release.as_ref()?.model;
        let judged: Vec<&str> = self
            .steps
            .values()
            .filter_map(|step| match &step.act {
                Act::Evaluate { models, .. } if models.contains(candidate) => Some(models),
                _ => None,
            })
            .flatten()
            .filter(|model| *model != candidate)
            .map(AsRef::as_ref)
            .collect();
        // Without its `evaluate` step, told elsewhere, nobody knows who else is judged.
        let is_judged = self
            .steps
            .values()
            .any(|step| matches!(&step.act, Act::Evaluate { models, .. } if models.contains(candidate)));
        is_judged.then(|| FactSchema::gate(task.kind, &judged))
    }
}
