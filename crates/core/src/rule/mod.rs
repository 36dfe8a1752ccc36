//! Rules: CEL expressions over published facts (gates, alerts, rollback).
//!
//! The language is CEL's expression grammar over facts: numbers, booleans,
//! text, lists and records, with the macros `has`, `all`, `exists`,
//! `exists_one`, `filter` and `map`. Every number is a double, literals too, so
//! `rows / 2` is a quotient of doubles. There is no null: a fact is present or
//! absent. Map and message literals, bytes, `%`, regular expressions and times
//! are left out, because no fact needs them.
//!
//! [`Expression::parse`] checks the grammar, [`Expression::check`] the types
//! against the published facts, [`Expression::evaluate`] gives a verdict in
//! three values over one set of facts.

mod check;
mod evaluation;
mod evaluator;
mod fact_catalog;
mod facts;
mod lexer;
mod parser;
mod syntax;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use check::{Problem, choose, did_you_mean, nearest};
pub use evaluation::{Evaluation, Skipped, Verdict};
pub use fact_catalog::RESERVED_NAMES;
pub use facts::{FactField, FactSchema, FactType, Record};

use syntax::Node;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// How deep an expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// How many nodes one evaluation may visit; beyond it the verdict is unknown.
pub const EVALUATION_STEPS_MAX: usize = 200_000;
/// How many fact values one evaluation records; further ones are used but not recorded.
pub const EVALUATION_VALUES_MAX: usize = 256;

/// A parsed expression, with its text.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    root: Node,
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Line of the error, from 1.
    pub line: usize,
    /// Column of the error in characters, from 1.
    pub column: usize,
    /// Bytes of the text that are wrong.
    pub span: Range<usize>,
    /// What was found and what was expected.
    pub message: String,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// The text is too long, too deep, or not of the grammar.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let root = parser::parse(text).map_err(|(span, message)| {
            let (line, column) = position(text, span.start);
            ParseError { line, column, span, message }
        })?;
        Ok(Self { text: text.to_owned(), root })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of the facts it depends on: `candidate`, `serving`, …
    pub fn roots(&self) -> BTreeSet<&str> {
        let mut roots = BTreeSet::new();
        self.root.free_names(&mut Vec::new(), &mut |name, _| {
            roots.insert(name);
        });
        roots
    }

    /// Checks the expression's types against the published facts.
    ///
    /// Empty when every name is known, every operand has the right type, and the result is true or false.
    pub fn check(&self, facts: &FactSchema) -> Vec<Problem> {
        check::check(&self.root, &self.text, facts)
    }

    /// The expression with the present names of facts that had other names in an earlier version.
    ///
    /// # Errors
    /// The text with the present names is too long.
    pub fn with_new_names(self, facts: &FactSchema) -> Result<Self, ParseError> {
        let renamed = self.check(facts).into_iter().filter_map(|problem| Some((problem.span, problem.replacement?)));
        let mut renamed: Vec<(Range<usize>, String)> = renamed.collect();
        if renamed.is_empty() {
            return Ok(self);
        }
        // From the end, so that the spans before stay valid.
        renamed.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = self.text;
        for (span, name) in renamed {
            text.replace_range(span, &name);
        }
        Self::parse(&text)
    }

    /// Evaluates the expression over facts: an object in which missing fields and nulls are absent facts.
    pub fn evaluate(&self, facts: &serde_json::Value) -> Evaluation {
        evaluation::evaluate(&self.text, &[&self.root], Vec::new(), facts)
    }

    /// Evaluates without the fact `absent`: clauses joined by top-level `&&` that name it are skipped and listed in
    /// [`Evaluation::skipped`].
    pub fn evaluate_without(&self, facts: &serde_json::Value, absent: &str) -> Evaluation {
        let (skipped, kept): (Vec<&Node>, Vec<&Node>) =
            self.root.clauses().into_iter().partition(|clause| clause.names(absent));
        let skipped = skipped
            .into_iter()
            .map(|clause| Skipped { clause: self.text[clause.span.clone()].to_owned(), absent: absent.to_owned() })
            .collect();
        evaluation::evaluate(&self.text, &kept, skipped, facts)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Line and column (in characters) of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
