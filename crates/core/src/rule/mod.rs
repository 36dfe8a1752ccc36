//! Rules: CEL expressions over published facts (gates, alerts, rollback).
//!
//! The language is CEL's expression grammar over facts: numbers, booleans,
//! text, lists and records, with the macros `has`, `all`, `exists`,
//! `exists_one`, `filter` and `map`. Every number is a double, literals too, so
//! `rows / 2` and `auc >= 1` mean what they read. There is no null: a fact is
//! present or absent. Map and message literals, bytes, `%`, regular expressions
//! and times are left out, because no fact needs them.
//!
//! The three acts are apart: [`Expression::parse`] knows the grammar alone,
//! [`Expression::check`] knows the published types, [`Expression::judge`] knows
//! one set of facts and answers in three values.

mod check;
mod evaluate;
mod facts;
mod judge;
mod lexer;
mod parser;
mod published;
mod syntax;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use check::{Problem, choose, did_you_mean, nearest};
pub use facts::{FactField, FactSchema, FactType, Record};
pub use judge::{Judgement, Skipped, Verdict};
pub use published::RESERVED_NAMES;

use syntax::Node;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// How deep an expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// How many nodes one judgement may evaluate; beyond it the verdict is unknown.
pub const EVALUATION_STEPS_MAX: usize = 200_000;
/// How many values one judgement keeps; the rest is evaluated, not kept.
pub const JUDGEMENT_VALUES_MAX: usize = 256;

/// A parsed expression, with its text.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    root: Node,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Line of the place at fault, from 1.
    pub line: usize,
    /// Column of the place at fault in characters, from 1.
    pub column: usize,
    /// Bytes of the text at fault.
    pub span: Range<usize>,
    /// What was found and what was expected.
    pub message: String,
}

impl Expression {
    /// Reads an expression.
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

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of the facts it stands on: `candidate`, `serving`, …
    pub fn roots(&self) -> BTreeSet<&str> {
        let mut roots = BTreeSet::new();
        self.root.free_names(&mut Vec::new(), &mut |name, _| {
            roots.insert(name);
        });
        roots
    }

    /// Judges the expression's types against the published facts.
    ///
    /// Empty when every name is known, every operator fits, and the whole is true or false.
    pub fn check(&self, facts: &FactSchema) -> Vec<Problem> {
        check::check(&self.root, &self.text, facts)
    }

    /// Judges the expression over facts: an object whose absent fields, and whose
    /// nulls, are absent facts.
    pub fn judge(&self, facts: &serde_json::Value) -> Judgement {
        judge::judge(&self.text, &[&self.root], Vec::new(), facts)
    }

    /// Judges without the fact `absent`: clauses joined by top-level `&&` that name
    /// it are skipped, and told in [`Judgement::skipped`].
    pub fn judge_without(&self, facts: &serde_json::Value, absent: &str) -> Judgement {
        let (skipped, kept): (Vec<&Node>, Vec<&Node>) =
            self.root.clauses().into_iter().partition(|clause| clause.names(absent));
        let skipped = skipped
            .into_iter()
            .map(|clause| Skipped { clause: self.text[clause.span.clone()].to_owned(), absent: absent.to_owned() })
            .collect();
        judge::judge(&self.text, &kept, skipped, facts)
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
