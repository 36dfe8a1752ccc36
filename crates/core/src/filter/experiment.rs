//! Filters and orders of searches over experiments. There are few experiments, so a filter is evaluated in memory, one
//! experiment after the other.

use std::cmp::Ordering;

use super::parse::{Allowed, Reader, clauses, number_test, operator, text_test};
use super::{Comparison, TextTest};
use crate::error::Result;

/// A number attribute of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExperimentNumber {
    /// `creation_time`
    Created,
    /// `last_update_time`
    Updated,
}

/// One clause of a filter over experiments; a row must match all clauses of a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum ExperimentClause {
    /// `name`
    Name(TextTest),
    /// `experiment_id`, as text.
    Id(TextTest),
    /// A number attribute.
    Number(ExperimentNumber, Comparison, f64),
    /// A tag.
    Tag(String, TextTest),
}

/// What experiments are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExperimentKey {
    /// `name`
    Name,
    /// `experiment_id`, as number.
    Id,
    /// A number attribute.
    Number(ExperimentNumber),
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExperimentOrder {
    /// The key.
    pub key: ExperimentKey,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// What is named on the left of a comparison.
enum Subject {
    Key(ExperimentKey),
    Tag(String),
}

/// Parses a filter over experiments. The empty text is a filter without clauses.
pub fn parse_experiment_filter(text: &str) -> Result<Vec<ExperimentClause>> {
    clauses(text, clause)
}

/// Parses one key of an order, then `ASC` (the default) or `DESC`.
pub fn parse_experiment_order(text: &str) -> Result<ExperimentOrder> {
    let mut reader = Reader { text, at: 0 };
    let Subject::Key(key) = subject(&mut reader)? else {
        reader.at = 0;
        return Err(reader.refuse("expected an attribute: experiments are not ordered by tags"));
    };
    Ok(ExperimentOrder { key, is_descending: reader.direction()? })
}

fn clause(reader: &mut Reader<'_>) -> Result<ExperimentClause> {
    let subject = subject(reader)?;
    let start = reader.at;
    let operator = operator(reader)?;
    Ok(match subject {
        Subject::Key(ExperimentKey::Name) => {
            ExperimentClause::Name(text_test(reader, start, operator, Allowed::Plain)?)
        }
        Subject::Key(ExperimentKey::Id) => ExperimentClause::Id(text_test(reader, start, operator, Allowed::List)?),
        Subject::Key(ExperimentKey::Number(number)) => {
            let (comparison, value) = number_test(reader, start, &operator)?;
            ExperimentClause::Number(number, comparison, value)
        }
        Subject::Tag(key) => ExperimentClause::Tag(key, text_test(reader, start, operator, Allowed::Null)?),
    })
}

fn subject(reader: &mut Reader<'_>) -> Result<Subject> {
    reader.skip_blanks();
    let start = reader.at;
    let plain = match reader.quoted(&['`', '"'])? {
        Some(name) => name,
        None => reader.plain().to_owned(),
    };
    let (entity, key) = match plain.split_once('.') {
        None => ("attribute", plain),
        Some((entity, "")) => (entity, reader.quoted(&['`', '"'])?.unwrap_or_default()),
        Some((entity, key)) => (entity, key.to_owned()),
    };
    match (entity, key.as_str()) {
        ("tag" | "tags", key) if !key.is_empty() => Ok(Subject::Tag(key.to_owned())),
        ("attribute" | "attributes" | "attr", "name") => Ok(Subject::Key(ExperimentKey::Name)),
        ("attribute" | "attributes" | "attr", "experiment_id") => Ok(Subject::Key(ExperimentKey::Id)),
        ("attribute" | "attributes" | "attr", "creation_time") => {
            Ok(Subject::Key(ExperimentKey::Number(ExperimentNumber::Created)))
        }
        ("attribute" | "attributes" | "attr", "last_update_time") => {
            Ok(Subject::Key(ExperimentKey::Number(ExperimentNumber::Updated)))
        }
        _ => {
            reader.at = start;
            Err(reader.refuse(
                "expected `tags.` with a key, or one of `name`, `experiment_id`, `creation_time`, `last_update_time`",
            ))
        }
    }
}

impl Comparison {
    /// Whether `left` compares so with `right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        let order = left.partial_cmp(&right);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl TextTest {
    /// Whether a text passes; a missing one passes [`TextTest::Missing`] alone.
    pub fn passes(&self, text: Option<&str>) -> bool {
        let Some(text) = text else { return *self == Self::Missing };
        match self {
            Self::Equal(wanted) => text == wanted,
            Self::NotEqual(other) => text != other,
            Self::Like(pattern) => is_like(text, pattern),
            Self::LikeAnyCase(pattern) => is_like(&text.to_lowercase(), &pattern.to_lowercase()),
            Self::In(texts) => texts.iter().any(|wanted| wanted == text),
            Self::NotIn(texts) => !texts.iter().any(|other| other == text),
            Self::Missing => false,
            Self::Present => true,
        }
    }
}

/// LIKE with `%` and `_`: one pass over the text, going back to the last `%` alone.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut wanted, mut retry) = (0, 0, None);
    while at < text.len() {
        match pattern.get(wanted) {
            Some('%') => {
                retry = Some((wanted + 1, at));
                wanted += 1;
            }
            Some(&c) if c == '_' || c == text[at] => (at, wanted) = (at + 1, wanted + 1),
            _ => match retry {
                None => return false,
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (at, wanted) = (from + 1, after);
                }
            },
        }
    }
    pattern[wanted..].iter().all(|c| *c == '%')
}
