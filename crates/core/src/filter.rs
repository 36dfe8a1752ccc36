//! Filters and orders of searches, as a tree. Text in MLflow's grammar is
//! parsed to it; storage turns it to SQL.
//!
//! `clause (AND clause)*`, keywords in any case. A clause is `entity.key`, a
//! comparison and a value: `metrics.auc > 0.7`, `` params.`my key` LIKE 'x%' ``,
//! `tags.team IS NULL`, `run_id IN ('a', 'b')`. Text stands in single or double
//! quotes and knows no escape.

mod experiment;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use experiment::{
    ExperimentClause, ExperimentKey, ExperimentNumber, ExperimentOrder, parse_experiment_filter, parse_experiment_order,
};
pub use parse::{CLAUSES_MAX, LIST_MAX, parse_run_filter, parse_run_order};

/// A comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What is asked of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// `= 'x'`
    Equal(String),
    /// `!= 'x'`; a missing text does not match.
    NotEqual(String),
    /// `LIKE 'x'`: `%` any text, `_` any character; upper and lower case differ.
    Like(String),
    /// `ILIKE 'x'`: the same, upper and lower case alike.
    LikeAnyCase(String),
    /// `IN ('x', 'y')`
    In(Vec<String>),
    /// `NOT IN ('x', 'y')`
    NotIn(Vec<String>),
    /// `IS NULL`: the only test that a missing text matches.
    Missing,
    /// `IS NOT NULL`
    Present,
}

/// A text attribute of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunText {
    /// `run_id`
    RunId,
    /// `run_name`
    Name,
    /// `status`
    Status,
    /// `artifact_uri`
    ArtifactUri,
    /// `user_id`
    UserId,
}

/// A number attribute of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunNumber {
    /// `start_time`
    Start,
    /// `end_time`
    End,
}

/// An attribute of a dataset input of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatasetText {
    /// `dataset.name`
    Name,
    /// `dataset.digest`
    Digest,
    /// `dataset.context`
    Context,
}

/// One clause of a filter over runs; a row must match all clauses of a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum RunClause {
    /// The latest value of a metric; NaN matches `!=` alone.
    Metric(String, Comparison, f64),
    /// A param.
    Param(String, TextTest),
    /// A tag.
    Tag(String, TextTest),
    /// A text attribute.
    Text(RunText, TextTest),
    /// A number attribute.
    Number(RunNumber, Comparison, f64),
    /// A dataset input.
    Dataset(DatasetText, TextTest),
}

/// What runs are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RunKey {
    /// The latest value of a metric: numbers, then NaN, then missing, in both directions.
    Metric(String),
    /// A param, as text; missing last.
    Param(String),
    /// A tag, as text; missing last.
    Tag(String),
    /// A text attribute.
    Text(RunText),
    /// A number attribute.
    Number(RunNumber),
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunOrder {
    /// The key.
    pub key: RunKey,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}
