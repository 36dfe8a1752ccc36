//! Static types of expressions over the published facts.

use std::ops::Range;

use super::facts::{FactSchema, FactType, Record};
use super::syntax::{Comprehension, Function, Identifier, Kind, Node, Operator, Quantifier};

/// One mistake in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the expression's text that are wrong.
    pub span: Range<usize>,
    /// What is wrong: one line, lowercase, without a final stop.
    pub message: String,
    /// What to write instead, if a similar name is known.
    pub suggestion: Option<String>,
    /// The text that replaces the span, when it is the name of a fact in an earlier version.
    pub replacement: Option<String>,
}

/// Types every node; each mistake is reported once.
pub(super) fn check(root: &Node, text: &str, facts: &FactSchema) -> Vec<Problem> {
    let mut checker = Checker { text, facts, scope: Vec::new(), problems: Vec::new() };
    let found = checker.type_of(root);
    if let Some(found) = found.filter(|found| *found != FactType::Bool) {
        checker.report(&root.span, format!("the {} must be true or false, this is {found}", facts.noun));
    }
    checker.problems
}

/// The known word most similar to `word`, if one is similar enough: a few letters changed or swapped, else a similar
/// beginning.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let likeness = |candidate: &str| {
        let letters = strsim::damerau_levenshtein(word, candidate);
        if letters <= allowed {
            return Some(2.0 - letters as f64 / 10.0);
        }
        Some(strsim::jaro_winkler(word, candidate)).filter(|likeness| *likeness > 0.85)
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((likeness(candidate)?, candidate)))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// A suggestion of the most similar known word.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// Known words that a suggestion lists, at most.
const CHOICES_MAX: usize = 30;

/// A suggestion of the most similar known word, else of all known words, up to a limit.
pub fn choose(word: &str, known: &[&str]) -> Option<String> {
    did_you_mean(word, known.iter().copied()).or_else(|| {
        let named: Vec<String> = known.iter().take(CHOICES_MAX).map(|name| format!("`{name}`")).collect();
        let more = known.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (!named.is_empty()).then(|| format!("known here: {}{more}", named.join(", ")))
    })
}

struct Checker<'a> {
    text: &'a str,
    facts: &'a FactSchema,
    /// Variables of the macros around, innermost last; `None` after a mistake was reported.
    scope: Vec<(&'a str, Option<FactType>)>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn report(&mut self, span: &Range<usize>, message: String) {
        self.problems.push(Problem { span: span.clone(), message, suggestion: None, replacement: None });
    }

    fn suggest<'b>(&mut self, span: &Range<usize>, message: String, word: &str, known: impl Iterator<Item = &'b str>) {
        let suggestion = choose(word, &known.collect::<Vec<_>>());
        self.problems.push(Problem { span: span.clone(), message, suggestion, replacement: None });
    }

    /// Reports a field that `record` does not have. `word` is the name as a replacement would be written: an identifier,
    /// or a text with its quotes.
    fn report_field(
        &mut self,
        span: &Range<usize>,
        operand: &Node,
        record: &Record,
        name: &str,
        word: impl Fn(&str) -> String,
    ) {
        if let Some(new) = record.new_name(name) {
            let (message, suggestion) = (format!("`{name}` is now `{new}`"), format!("write `{new}`"));
            let replacement = Some(word(new));
            self.problems.push(Problem { span: span.clone(), message, suggestion: Some(suggestion), replacement });
            return;
        }
        let message = format!("`{}` has no field `{name}`", &self.text[operand.span.clone()]);
        self.suggest(span, message, name, record.fields().map(|(name, _)| name));
    }

    /// The node's type; `None` after a mistake was reported, so that no further one follows from it.
    fn type_of(&mut self, node: &'a Node) -> Option<FactType> {
        match &node.kind {
            Kind::Number(_) => Some(FactType::Number),
            Kind::Bool(_) => Some(FactType::Bool),
            Kind::Text(_) => Some(FactType::Text),
            Kind::Null => {
                self.report(&node.span, "facts are present or absent, never null".to_owned());
                if let Some(last) = self.problems.last_mut() {
                    last.suggestion = Some("ask `has(…)`".to_owned());
                }
                None
            }
            Kind::List(nodes) => self.list(nodes),
            Kind::Name(name) => self.name(name, &node.span),
            Kind::Field(operand, field) => self.field(operand, field),
            Kind::Has(operand, field) => self.field(operand, field).map(|_| FactType::Bool),
            Kind::Index(operand, index) => self.index(operand, index),
            Kind::Not(inner) => Some(self.expect(inner, &FactType::Bool, "`!`")),
            Kind::Negate(inner) => Some(self.expect(inner, &FactType::Number, "`-`")),
            Kind::Binary(operator, left, right) => self.binary(*operator, node, left, right),
            Kind::If(condition, yes, no) => {
                self.expect(condition, &FactType::Bool, "the condition of `?`");
                let yes = self.type_of(yes)?;
                let other = self.type_of(no)?;
                if yes == other {
                    return Some(yes);
                }
                self.report(
                    &no.span,
                    format!("both branches of `?` must have the same type: {yes} before `:`, {other} after"),
                );
                None
            }
            Kind::Call(function, arguments) => Some(self.call(*function, arguments)),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// Types `node`, reports a type other than `expected`, and returns `expected`.
    fn expect(&mut self, node: &'a Node, expected: &FactType, by: &str) -> FactType {
        let found = self.type_of(node);
        if let Some(found) = found.filter(|found| found != expected) {
            self.report(&node.span, format!("{by} takes {expected}, `{}` is {found}", &self.text[node.span.clone()]));
        }
        expected.clone()
    }

    fn list(&mut self, nodes: &'a [Node]) -> Option<FactType> {
        let mut element = None;
        for node in nodes {
            let found = self.type_of(node)?;
            match &element {
                None => element = Some(found),
                Some(first) if *first != found => {
                    self.report(
                        &node.span,
                        format!("elements of a list must have the same type: {first} first, {found} here"),
                    );
                    return None;
                }
                Some(_) => {}
            }
        }
        // The element type of an empty list is unknown, so it is not checked.
        element.map(FactType::list)
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Option<FactType> {
        if let Some((_, bound)) = self.scope.iter().rev().find(|(variable, _)| *variable == name) {
            return bound.clone();
        }
        if let Some(field) = self.facts.facts.field(name) {
            return Some(field.value.clone());
        }
        let facts = self.facts;
        let variables: Vec<&str> = self.scope.iter().map(|(variable, _)| *variable).collect();
        let known = variables.into_iter().chain(facts.facts.fields().map(|(name, _)| name));
        self.suggest(span, format!("unknown fact `{name}`"), name, known.collect::<Vec<_>>().into_iter());
        None
    }

    fn field(&mut self, operand: &'a Node, field: &Identifier) -> Option<FactType> {
        match self.type_of(operand)? {
            FactType::Record(record) => {
                if let Some(found) = record.field(&field.text) {
                    return Some(found.value.clone());
                }
                self.report_field(&field.span, operand, &record, &field.text, str::to_owned);
                None
            }
            FactType::Numbers => Some(FactType::Number),
            other => {
                self.report(
                    &field.span,
                    format!("`{}` is {other}, it has no field `{}`", &self.text[operand.span.clone()], field.text),
                );
                None
            }
        }
    }

    fn index(&mut self, operand: &'a Node, index: &'a Node) -> Option<FactType> {
        match self.type_of(operand)? {
            FactType::List(element) => {
                self.expect(index, &FactType::Number, "the place in a list");
                Some(*element)
            }
            FactType::Numbers => {
                self.expect(index, &FactType::Text, "the name in a map");
                Some(FactType::Number)
            }
            FactType::Record(record) => {
                let Kind::Text(name) = &index.kind else {
                    self.report(&index.span, "the field of a record is a text, such as `['auc']`".to_owned());
                    return None;
                };
                if let Some(found) = record.field(name) {
                    return Some(found.value.clone());
                }
                self.report_field(&index.span, operand, &record, name, |new| format!("'{new}'"));
                None
            }
            other => {
                self.report(
                    &operand.span,
                    format!("`{}` is {other}, it has no parts", &self.text[operand.span.clone()]),
                );
                None
            }
        }
    }

    fn binary(&mut self, operator: Operator, node: &Node, left: &'a Node, right: &'a Node) -> Option<FactType> {
        let sign = format!("`{}`", operator.as_str());
        match operator {
            Operator::And | Operator::Or => {
                self.expect(left, &FactType::Bool, &sign);
                Some(self.expect(right, &FactType::Bool, &sign))
            }
            Operator::Subtract | Operator::Multiply | Operator::Divide => {
                self.expect(left, &FactType::Number, &sign);
                Some(self.expect(right, &FactType::Number, &sign))
            }
            Operator::Add => {
                let found = self.type_of(left);
                let other = self.type_of(right);
                match (found?, other?) {
                    (FactType::Number, FactType::Number) => Some(FactType::Number),
                    (FactType::Text, FactType::Text) => Some(FactType::Text),
                    (found, other) if found == other && matches!(found, FactType::List(_)) => Some(found),
                    (found, other) => {
                        self.report(&node.span, format!("`+` adds numbers or joins texts, found {found} and {other}"));
                        None
                    }
                }
            }
            Operator::Equal | Operator::NotEqual => {
                let found = self.type_of(left);
                let other = self.type_of(right);
                if let (Some(found), Some(other)) = (found, other)
                    && found != other
                {
                    self.report(
                        &node.span,
                        format!("{sign} compares values of the same type, found {found} and {other}"),
                    );
                }
                Some(FactType::Bool)
            }
            Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
                let found = self.type_of(left);
                let other = self.type_of(right);
                if let (Some(found), Some(other)) = (found, other)
                    && (found != other || !matches!(found, FactType::Number | FactType::Text))
                {
                    self.report(
                        &node.span,
                        format!("{sign} compares two numbers or two texts, found {found} and {other}"),
                    );
                }
                Some(FactType::Bool)
            }
            Operator::In => {
                self.member_of(node, left, right);
                Some(FactType::Bool)
            }
        }
    }

    fn member_of(&mut self, node: &Node, left: &'a Node, right: &'a Node) {
        let (Some(found), Some(container)) = (self.type_of(left), self.type_of(right)) else {
            return;
        };
        let expected = match container {
            FactType::List(element) => *element,
            FactType::Record(record) => {
                if let Kind::Text(name) = &left.kind
                    && record.new_name(name).is_some()
                {
                    self.report_field(&left.span, right, &record, name, |new| format!("'{new}'"));
                }
                FactType::Text
            }
            FactType::Numbers => FactType::Text,
            other => {
                self.report(
                    &right.span,
                    format!("`in` needs a list or a map, `{}` is {other}", &self.text[right.span.clone()]),
                );
                return;
            }
        };
        if expected != found {
            self.report(
                &node.span,
                format!("`in` compares values of the same type, found {found} and elements that are {expected}"),
            );
        }
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> FactType {
        let name = format!("`{}`", function.as_str());
        match function {
            Function::Size => {
                if let [argument] = arguments
                    && let Some(found) = self.type_of(argument)
                    && matches!(found, FactType::Number | FactType::Bool)
                {
                    self.report(
                        &argument.span,
                        format!(
                            "{name} takes a list, a map or text, `{}` is {found}",
                            &self.text[argument.span.clone()]
                        ),
                    );
                }
                FactType::Number
            }
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                for argument in arguments {
                    self.expect(argument, &FactType::Text, &name);
                }
                FactType::Bool
            }
            Function::Abs | Function::Least | Function::Greatest => {
                for argument in arguments {
                    self.expect(argument, &FactType::Number, &name);
                }
                FactType::Number
            }
        }
    }

    fn comprehension(&mut self, comprehension: &'a Comprehension) -> Option<FactType> {
        let range = self.type_of(&comprehension.range);
        let element = match &range {
            Some(FactType::List(element)) => Some(element.as_ref().clone()),
            Some(FactType::Numbers) => Some(FactType::Text),
            Some(other) => {
                let message = format!("`{}` is {other}, expected a list", &self.text[comprehension.range.span.clone()]);
                self.report(&comprehension.range.span, message);
                None
            }
            None => None,
        };
        self.scope.push((&comprehension.variable.text, element));
        if let Some(condition) = &comprehension.condition {
            self.expect(condition, &FactType::Bool, "the condition");
        }
        let result = comprehension.result.as_ref().and_then(|result| self.type_of(result));
        self.scope.pop();
        match comprehension.quantifier {
            Quantifier::All | Quantifier::Exists | Quantifier::ExistsOne => Some(FactType::Bool),
            Quantifier::Filter => {
                range.map(|range| if range == FactType::Numbers { FactType::Text.list() } else { range })
            }
            Quantifier::Map => result.map(FactType::list),
        }
    }
}
