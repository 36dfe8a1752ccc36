//! `[datasets.*]` and `[checks.*]`.

use std::fmt;

use perennial_core::calendar::Duration;
use perennial_core::port::data::{Format, Mode, Severity};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::schema;

/// Versioned rows, and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Where rows come from.
    pub source: Source,
    /// How new rows enter: `append` (a key already there sets the new row aside), `merge` (replaces the old row), `replace` (all old rows leave).
    #[serde(default = "append")]
    #[schemars(schema_with = "schema::mode")]
    pub mode: Mode,
    /// Columns that tell rows apart.
    #[serde(default)]
    pub key: Vec<String>,
    /// Whether any change of the columns is taken; without it only an added nullable column is.
    #[serde(default)]
    pub evolve: bool,
}

/// Files that hold the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A glob below the project's folder, such as `data/*.parquet`, or a URL with one, such as `s3://bucket/in/*.csv`.
    pub files: String,
    /// The expected rhythm, such as `1 month`; late after 1.1 times it.
    #[serde(default)]
    #[schemars(schema_with = "schema::duration")]
    pub every: Option<Duration>,
    /// Whether each new file is a load, or all new files together are one.
    #[serde(default)]
    pub batch: Batch,
    /// The files' format; by their ending if not said.
    #[serde(default)]
    #[schemars(schema_with = "schema::format")]
    pub format: Option<Format>,
    /// Whether CSV files begin with a header line.
    #[serde(default = "yes")]
    pub header: bool,
    /// Names of the columns of CSV files without a header line.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What happens when a file that was taken over has other content now.
    #[serde(default)]
    pub on_change: OnChange,
}

/// What one load is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Batch {
    /// Each new file.
    #[default]
    File,
    /// All new files together.
    All,
}

/// What happens when a file that was taken over has other content now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// The change is refused.
    #[default]
    Refuse,
    /// The file's new rows take the place of its old ones.
    Replace,
}

/// A test of data: a SQL condition as text, or a table with more.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum CheckEntry {
    /// A SQL condition: over one row, or over aggregates such as `count(*)`.
    That(String),
    /// A question with its limits.
    Table(CheckTable),
}

/// A question with its limits: `that`, or `column` (or `columns`) with `unique`, `references` or `not_null`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckTable {
    /// A SQL condition: over one row, or over aggregates such as `count(*)`.
    pub that: Option<String>,
    /// The column that `unique`, `references` or `not_null` is about.
    pub column: Option<String>,
    /// Several columns that `unique` or `not_null` is about.
    pub columns: Option<Vec<String>>,
    /// No two rows of a load share the value.
    pub unique: Option<bool>,
    /// The value stands in `dataset.column`; null passes.
    pub references: Option<String>,
    /// The value is there.
    pub not_null: Option<bool>,
    /// The share of rows that must pass, above 0, up to 1; 1 if not said. With less, failing rows are set aside and the rest goes on.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub at_least: Option<f64>,
    /// `error` holds a failing load, `warn` only reports.
    #[serde(default)]
    #[schemars(schema_with = "schema::severity")]
    pub severity: Option<Severity>,
}

impl<'de> Deserialize<'de> for CheckEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckVisitor)
    }
}

struct CheckVisitor;

impl<'de> Visitor<'de> for CheckVisitor {
    type Value = CheckEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<CheckEntry, E> {
        Ok(CheckEntry::That(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CheckEntry, A::Error> {
        CheckTable::deserialize(MapAccessDeserializer::new(map)).map(CheckEntry::Table)
    }
}

fn append() -> Mode {
    Mode::Append
}

fn yes() -> bool {
    true
}
