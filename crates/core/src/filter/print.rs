//! From the tree back to MLflow's grammar.
//!
//! A text with both kinds of quotes, or a key with backtick and double quote,
//! has no spelling in the grammar; it is printed as it is.

use std::fmt::{Display, Formatter, Result};

use super::{Comparison, DatasetText, RunClause, RunKey, RunNumber, RunOrder, RunText, TextTest};

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    format!("{quote}{text}{quote}")
}

fn key(text: &str) -> String {
    let quote = if text.contains('`') { '"' } else { '`' };
    format!("{quote}{text}{quote}")
}

fn list(texts: &[String]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

impl Display for TextTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Equal(text) => write!(f, "= {}", quoted(text)),
            Self::NotEqual(text) => write!(f, "!= {}", quoted(text)),
            Self::Like(pattern) => write!(f, "LIKE {}", quoted(pattern)),
            Self::LikeAnyCase(pattern) => write!(f, "ILIKE {}", quoted(pattern)),
            Self::In(texts) => write!(f, "IN ({})", list(texts)),
            Self::NotIn(texts) => write!(f, "NOT IN ({})", list(texts)),
            Self::Missing => f.write_str("IS NULL"),
            Self::Present => f.write_str("IS NOT NULL"),
        }
    }
}

impl Display for RunText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::RunId => "run_id",
            Self::Name => "run_name",
            Self::Status => "status",
            Self::ArtifactUri => "artifact_uri",
            Self::UserId => "user_id",
        })
    }
}

impl Display for RunNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Start => "start_time",
            Self::End => "end_time",
        })
    }
}

impl Display for DatasetText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Digest => "digest",
            Self::Context => "context",
        })
    }
}

impl Display for RunClause {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Metric(name, comparison, value) => write!(f, "metrics.{} {comparison} {value:?}", key(name)),
            Self::Param(name, test) => write!(f, "params.{} {test}", key(name)),
            Self::Tag(name, test) => write!(f, "tags.{} {test}", key(name)),
            Self::Text(text, test) => write!(f, "attributes.{text} {test}"),
            Self::Number(number, comparison, value) => write!(f, "attributes.{number} {comparison} {value:?}"),
            Self::Dataset(text, test) => write!(f, "datasets.{text} {test}"),
        }
    }
}

impl Display for RunOrder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.key {
            RunKey::Metric(name) => write!(f, "metrics.{}", key(name))?,
            RunKey::Param(name) => write!(f, "params.{}", key(name))?,
            RunKey::Tag(name) => write!(f, "tags.{}", key(name))?,
            RunKey::Text(text) => write!(f, "attributes.{text}")?,
            RunKey::Number(number) => write!(f, "attributes.{number}")?,
        }
        f.write_str(if self.is_descending { " DESC" } else { " ASC" })
    }
}
