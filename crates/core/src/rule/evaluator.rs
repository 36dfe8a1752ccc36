//! Evaluates an expression over facts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::syntax::{Comprehension, Function, Kind, Node, Operator, Quantifier};
use super::value::{Data, Known, Truth, Unknown, and, equal, or};
use super::{EVALUATION_STEPS_MAX, EVALUATION_VALUES_MAX};

/// The state of one evaluation: variables in scope, steps taken, facts read.
pub(super) struct Evaluator<'a> {
    text: &'a str,
    facts: &'a Value,
    scope: Vec<(&'a str, Known<'a>)>,
    steps: usize,
    seen: BTreeSet<String>,
    values: Vec<(String, Value)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(text: &'a str, facts: &'a Value) -> Self {
        Self { text, facts, scope: Vec::new(), steps: 0, seen: BTreeSet::new(), values: Vec::new() }
    }

    /// The facts that were read, in order.
    pub(super) fn into_values(self) -> Vec<(String, Value)> {
        self.values
    }

    /// Evaluates a node to true or false; the order of operands of `&&` and `||` does not matter.
    pub(super) fn truth(&mut self, node: &'a Node) -> Truth {
        match &node.kind {
            Kind::Binary(Operator::And, left, right) => match self.truth(left) {
                Ok(false) => Ok(false),
                left => and(left, self.truth(right)),
            },
            Kind::Binary(Operator::Or, left, right) => match self.truth(left) {
                Ok(true) => Ok(true),
                left => or(left, self.truth(right)),
            },
            _ => {
                let known = self.evaluate(node)?;
                match known.data {
                    Data::Bool(truth) => Ok(truth),
                    _ => Err(self.type_mismatch(node, &known, "true or false")),
                }
            }
        }
    }

    fn number(&mut self, node: &'a Node) -> Result<f64, Unknown> {
        let known = self.evaluate(node)?;
        match known.data {
            Data::Number(number) => Ok(number),
            _ => Err(self.type_mismatch(node, &known, "a number")),
        }
    }

    fn text_value(&mut self, node: &'a Node) -> Result<String, Unknown> {
        let known = self.evaluate(node)?;
        match known.data {
            Data::Text(text) => Ok(text),
            _ => Err(self.type_mismatch(node, &known, "text")),
        }
    }

    fn type_mismatch(&self, node: &Node, found: &Known<'_>, expected: &str) -> Unknown {
        Unknown::reason(format!("`{}` is {}, expected {expected}", &self.text[node.span.clone()], found.describe()))
    }

    /// Evaluates a node, and records its value if it is a scalar fact.
    fn evaluate(&mut self, node: &'a Node) -> Result<Known<'a>, Unknown> {
        let known = self.compute(node)?;
        if let Some(path) = &known.path {
            let value = match &known.data {
                Data::Number(number) => Value::from(*number),
                Data::Bool(truth) => Value::from(*truth),
                Data::Text(text) => Value::from(text.as_str()),
                Data::List(_) | Data::Map(_) => return Ok(known),
            };
            if self.values.len() < EVALUATION_VALUES_MAX && self.seen.insert(path.clone()) {
                self.values.push((path.clone(), value));
            }
        }
        Ok(known)
    }

    fn compute(&mut self, node: &'a Node) -> Result<Known<'a>, Unknown> {
        self.steps += 1;
        if self.steps > EVALUATION_STEPS_MAX {
            return Err(Unknown::reason(format!("more than {EVALUATION_STEPS_MAX} steps")));
        }
        let data = match &node.kind {
            Kind::Number(number) => Data::Number(*number),
            Kind::Bool(truth) => Data::Bool(*truth),
            Kind::Text(text) => Data::Text(text.clone()),
            Kind::Null => return Err(Unknown::reason("facts are present or absent, never null")),
            Kind::List(nodes) => Data::List(nodes.iter().map(|node| self.evaluate(node)).collect::<Result<_, _>>()?),
            Kind::Name(name) => return self.name(name),
            Kind::Field(operand, field) => {
                let operand = self.operand(operand, &format!(".{}", field.text))?;
                return self.part(node, &operand, &field.text, format!(".{}", field.text));
            }
            Kind::Index(operand, index) => return self.index(node, operand, index),
            Kind::Has(operand, field) => Data::Bool(self.has(operand, &field.text)?),
            Kind::Not(inner) => Data::Bool(!self.truth(inner)?),
            Kind::Negate(inner) => Data::Number(-self.number(inner)?),
            Kind::Binary(Operator::And | Operator::Or, ..) => Data::Bool(self.truth(node)?),
            Kind::Binary(operator, left, right) => self.binary(*operator, node, left, right)?,
            Kind::If(condition, yes, no) => {
                let chosen = if self.truth(condition)? { yes } else { no };
                return self.evaluate(chosen);
            }
            Kind::Call(function, arguments) => self.call(*function, arguments)?,
            Kind::Comprehension(comprehension) => self.comprehension(comprehension)?,
        };
        Ok(Known::new(data))
    }

    fn name(&mut self, name: &str) -> Result<Known<'a>, Unknown> {
        if let Some((_, known)) = self.scope.iter().rev().find(|(variable, _)| *variable == name) {
            return Ok(known.clone());
        }
        match self.facts.get(name) {
            Some(value) => Known::fact(value, name.to_owned()),
            None => Err(Unknown::missing(name)),
        }
    }

    /// Evaluates the operand of a field or index; an absent operand is reported with the field or index.
    fn operand(&mut self, node: &'a Node, part: &str) -> Result<Known<'a>, Unknown> {
        let is_path = matches!(node.kind, Kind::Name(_) | Kind::Field(..) | Kind::Index(..));
        self.evaluate(node).map_err(|mut unknown| {
            if let ([path], true, true) = (unknown.missing.as_mut_slice(), unknown.reasons.is_empty(), is_path) {
                path.push_str(part);
            }
            unknown
        })
    }

    fn part(&self, node: &Node, operand: &Known<'a>, name: &str, part: String) -> Result<Known<'a>, Unknown> {
        let path = match &operand.path {
            Some(path) => format!("{path}{part}"),
            None => self.text[node.span.clone()].to_owned(),
        };
        match operand.data {
            Data::Map(map) => match map.get(name) {
                Some(value) => Known::fact(value, path),
                None => Err(Unknown::missing(path)),
            },
            _ => Err(Unknown::reason(format!("`{path}`: {} has no fields", operand.describe()))),
        }
    }

    fn index(&mut self, node: &'a Node, operand: &'a Node, index: &'a Node) -> Result<Known<'a>, Unknown> {
        let place = self.evaluate(index)?;
        match place.data {
            Data::Text(name) => {
                let operand = self.operand(operand, &format!(".{name}"))?;
                self.part(node, &operand, &name, format!(".{name}"))
            }
            Data::Number(number) => {
                let operand = self.operand(operand, &format!("[{number}]"))?;
                let Data::List(elements) = operand.data else {
                    return Err(Unknown::reason(format!("`{}` is not a list", &self.text[node.span.clone()])));
                };
                let is_whole = number >= 0.0 && number.fract() == 0.0;
                let found = is_whole.then(|| elements.into_iter().nth(number as usize)).flatten();
                found.ok_or_else(|| Unknown::missing(&self.text[node.span.clone()]))
            }
            _ => Err(Unknown::reason(format!("`{}` is not an index", &self.text[index.span.clone()]))),
        }
    }

    /// Whether a field is present; an absent fact has no fields.
    fn has(&mut self, operand: &'a Node, field: &str) -> Truth {
        match self.evaluate(operand) {
            Ok(Known { data: Data::Map(map), .. }) => Ok(map.get(field).is_some_and(|value| !value.is_null())),
            Ok(known) => Err(self.type_mismatch(operand, &known, "a record")),
            Err(unknown) if unknown.reasons.is_empty() && matches!(operand.kind, Kind::Name(_) | Kind::Field(..)) => {
                Ok(false)
            }
            Err(unknown) => Err(unknown),
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        node: &Node,
        left: &'a Node,
        right: &'a Node,
    ) -> Result<Data<'a>, Unknown> {
        let (left, right) = match (self.evaluate(left), self.evaluate(right)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(unknown), Ok(_)) | (Ok(_), Err(unknown)) => return Err(unknown),
            (Err(left), Err(right)) => return Err(left.and(right)),
        };
        let answer = match (operator, &left.data, &right.data) {
            (Operator::Equal, left, right) => Data::Bool(equal(left, right)),
            (Operator::NotEqual, left, right) => Data::Bool(!equal(left, right)),
            (Operator::Less, Data::Number(left), Data::Number(right)) => Data::Bool(left < right),
            (Operator::LessEqual, Data::Number(left), Data::Number(right)) => Data::Bool(left <= right),
            (Operator::Greater, Data::Number(left), Data::Number(right)) => Data::Bool(left > right),
            (Operator::GreaterEqual, Data::Number(left), Data::Number(right)) => Data::Bool(left >= right),
            (Operator::Less, Data::Text(left), Data::Text(right)) => Data::Bool(left < right),
            (Operator::LessEqual, Data::Text(left), Data::Text(right)) => Data::Bool(left <= right),
            (Operator::Greater, Data::Text(left), Data::Text(right)) => Data::Bool(left > right),
            (Operator::GreaterEqual, Data::Text(left), Data::Text(right)) => Data::Bool(left >= right),
            (Operator::Add, Data::Text(left), Data::Text(right)) => Data::Text(format!("{left}{right}")),
            (Operator::Add, Data::List(left), Data::List(right)) => Data::List([left.as_slice(), right].concat()),
            (Operator::Add, Data::Number(left), Data::Number(right)) => Data::Number(left + right),
            (Operator::Subtract, Data::Number(left), Data::Number(right)) => Data::Number(left - right),
            (Operator::Multiply, Data::Number(left), Data::Number(right)) => Data::Number(left * right),
            (Operator::Divide, Data::Number(left), Data::Number(right)) => Data::Number(left / right),
            (Operator::In, _, Data::List(elements)) => {
                Data::Bool(elements.iter().any(|element| equal(&element.data, &left.data)))
            }
            (Operator::In, Data::Text(name), Data::Map(map)) => {
                Data::Bool(map.get(name).is_some_and(|value| !value.is_null()))
            }
            _ => {
                let message =
                    format!("`{}` does not apply to {} and {}", operator.as_str(), left.describe(), right.describe());
                return Err(Unknown::reason(message));
            }
        };
        self.defined(node, answer)
    }

    /// A number that is not finite (division by zero, overflow) is undefined, so the result is unknown.
    fn defined(&self, node: &Node, data: Data<'a>) -> Result<Data<'a>, Unknown> {
        match data {
            Data::Number(number) if !number.is_finite() => {
                Err(Unknown::reason(format!("`{}` is undefined", &self.text[node.span.clone()])))
            }
            data => Ok(data),
        }
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Result<Data<'a>, Unknown> {
        let [first, rest @ ..] = arguments else {
            return Err(Unknown::reason("a function without arguments"));
        };
        match function {
            Function::Size => {
                let known = self.evaluate(first)?;
                match &known.data {
                    Data::Text(text) => Ok(Data::Number(text.chars().count() as f64)),
                    Data::List(elements) => Ok(Data::Number(elements.len() as f64)),
                    Data::Map(map) => Ok(Data::Number(map.values().filter(|value| !value.is_null()).count() as f64)),
                    _ => Err(self.type_mismatch(first, &known, "a list, a map or text")),
                }
            }
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                let [part] = rest else {
                    return Err(Unknown::reason("a function without its argument"));
                };
                let (text, part) = (self.text_value(first)?, self.text_value(part)?);
                Ok(Data::Bool(match function {
                    Function::Contains => text.contains(&part),
                    Function::StartsWith => text.starts_with(&part),
                    _ => text.ends_with(&part),
                }))
            }
            Function::Abs => Ok(Data::Number(self.number(first)?.abs())),
            Function::Least | Function::Greatest => {
                let mut found = self.number(first)?;
                for node in rest {
                    let number = self.number(node)?;
                    found = if function == Function::Least { found.min(number) } else { found.max(number) };
                }
                Ok(Data::Number(found))
            }
        }
    }

    fn comprehension(&mut self, comprehension: &'a Comprehension) -> Result<Data<'a>, Unknown> {
        let range = self.evaluate(&comprehension.range)?;
        let elements = match range.data {
            Data::List(elements) => elements,
            Data::Map(map) => map.keys().map(|key| Known::new(Data::Text(key.clone()))).collect(),
            _ => return Err(self.type_mismatch(&comprehension.range, &range, "a list")),
        };
        let mut kept = Vec::new();
        let mut holds = 0_usize;
        let mut unknown: Option<Unknown> = None;
        for element in elements {
            self.scope.push((&comprehension.variable.text, element.clone()));
            let answer = comprehension.condition.as_ref().map_or(Ok(true), |condition| self.truth(condition));
            let answer = match (answer, &comprehension.result) {
                (Ok(true), Some(result)) => self.evaluate(result).map(|known| {
                    kept.push(known);
                    true
                }),
                (Ok(true), None) => {
                    kept.push(element);
                    Ok(true)
                }
                (answer, _) => answer,
            };
            self.scope.pop();
            match (comprehension.quantifier, &answer) {
                (Quantifier::All, Ok(false)) => return Ok(Data::Bool(false)),
                (Quantifier::Exists, Ok(true)) => return Ok(Data::Bool(true)),
                _ => {}
            }
            match answer {
                Ok(truth) => holds += usize::from(truth),
                Err(more) => unknown = Some(unknown.unwrap_or_default().and(more)),
            }
            if comprehension.quantifier == Quantifier::ExistsOne && holds > 1 {
                return Ok(Data::Bool(false));
            }
            if self.steps > EVALUATION_STEPS_MAX {
                break;
            }
        }
        match (comprehension.quantifier, unknown) {
            (_, Some(unknown)) => Err(unknown),
            (Quantifier::All, None) => Ok(Data::Bool(true)),
            (Quantifier::Exists, None) => Ok(Data::Bool(false)),
            (Quantifier::ExistsOne, None) => Ok(Data::Bool(holds == 1)),
            (Quantifier::Filter | Quantifier::Map, None) => Ok(Data::List(kept)),
        }
    }
}
