//! Expressions: gates, alerts and rollback rules, type-checked against the published facts.

use std::collections::BTreeMap;

use perennial_core::rule::{Expression, FactSchema};

use super::Validator;
use crate::document::{Path, at};
use crate::file::ProjectFile;
use crate::parse::OldNames;
use crate::project::StepKind;

impl Validator<'_, '_> {
    /// Parses and type-checks one expression; `None` after reporting an error at its position.
    pub(super) fn parse_rule(&mut self, text: &str, at: &Path, facts: Option<&FactSchema>) -> Option<Expression> {
        let present = |expression: Expression| match (self.old_names, facts) {
            (OldNames::Accept, Some(facts)) => expression.with_new_names(facts),
            _ => Ok(expression),
        };
        let expression = match Expression::parse(text).and_then(present) {
            Ok(expression) => expression,
            Err(error) => {
                let span = self.parsed.document.span_inside(at, error.span);
                self.error_at(span, error.message, None);
                return None;
            }
        };
        let problems = facts.map_or_else(Vec::new, |facts| expression.check(facts));
        let is_valid = problems.is_empty();
        for problem in problems {
            let span = self.parsed.document.span_inside(at, problem.span);
            self.error_at(span, problem.message, problem.suggestion);
        }
        is_valid.then_some(expression)
    }

    /// Parses the gates; `None` when one is invalid.
    pub(super) fn parse_gates(&mut self, file: &ProjectFile) -> Option<BTreeMap<String, Expression>> {
        if file.gates.is_empty() {
            return Some(BTreeMap::new());
        }
        self.require_release(file, &at!["gates"], "gates need");
        let facts = self.gate_facts(file);
        let mut gates = Some(BTreeMap::new());
        for (name, text) in &file.gates {
            let at = at!["gates", name];
            self.validate_name("gate", name, &at);
            match (self.parse_rule(text, &at, facts.as_ref()), &mut gates) {
                (Some(expression), Some(gates)) => {
                    gates.insert(name.clone(), expression);
                }
                _ => gates = None,
            }
        }
        gates
    }

    /// The facts of gates, with those of the models that are evaluated together with the release's. `None` when no step
    /// evaluates the release's model, which is an error of its own.
    fn gate_facts(&self, file: &ProjectFile) -> Option<FactSchema> {
        let task = self.task.as_ref()?;
        let candidate = &file.release.as_ref()?.model;
        let evaluations: Vec<_> = self
            .steps
            .values()
            .filter_map(|step| match &step.kind {
                StepKind::Evaluate { models, .. } if models.contains(candidate) => Some(models),
                _ => None,
            })
            .collect();
        let others: Vec<&str> =
            evaluations.iter().copied().flatten().filter(|model| *model != candidate).map(AsRef::as_ref).collect();
        (!evaluations.is_empty()).then(|| FactSchema::gate(task.kind, &others))
    }
}
