//! `[datasets.*]` and `[checks.*]`.

use std::fmt;

use perennial_core::calendar::Duration;
use perennial_core::port::data::{Format, Mode, Severity};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::settle_time::SettleTime;
use crate::value_schema;

/// Versioned rows and their source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The origin of the rows.
    pub source: Source,
    /// How new rows enter: `append` (a row whose key exists is quarantined), `merge` (it replaces the old row), `replace` (all old rows are deleted).
    #[serde(default = "append")]
    #[schemars(schema_with = "value_schema::mode")]
    pub mode: Mode,
    /// Columns that identify a row.
    #[serde(default)]
    pub key: Vec<String>,
    /// Whether any change of the columns is accepted; without it, only an added nullable column is.
    #[serde(default)]
    pub evolve: bool,
}

/// Files that contain the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A glob relative to the project's folder, such as `data/*.parquet`, or a URL with one, such as `s3://bucket/in/*.csv`.
    pub files: String,
    /// The expected interval between new files, such as `1 month`; the source is late after 1.1 times it.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::duration")]
    pub every: Option<Duration>,
    /// Whether each new file is a load, or all new files together.
    #[serde(default)]
    pub batch: Batch,
    /// The format of the files; inferred from their extension by default.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::format")]
    pub format: Option<Format>,
    /// Whether CSV files start with a header line.
    #[serde(default = "yes")]
    pub header: bool,
    /// Column names of CSV files without a header line.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What happens when the content of a committed file has changed.
    #[serde(default)]
    pub on_change: OnChange,
    /// IANA timezone of times without a zone in the files, such as `Europe/Zurich`; the project's timezone by default, with
    /// a warning at each load.
    #[serde(default)]
    pub timezone: Option<String>,
    /// How long a local file must be unchanged before it is loaded, so that no file is loaded while it is being written;
    /// default `2 s`. With `0 s` a file is loaded at once: for writers that move complete files into the folder.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::settle")]
    pub settle: Option<SettleTime>,
}

/// The files that form one load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Batch {
    /// Each new file.
    #[default]
    File,
    /// All new files together.
    All,
}

/// What happens when the content of a committed file has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// The change is refused.
    #[default]
    Refuse,
    /// The file's new rows replace its old ones.
    Replace,
}

/// A data check: a SQL condition, or a table with more options.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum CheckEntry {
    /// A SQL condition over one row, or over aggregates such as `count(*)`.
    Condition(String),
    /// A check with options.
    Table(CheckTable),
}

/// A check with options: `that`, or `column` (or `columns`) with `unique`, `references` or `not_null`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckTable {
    /// A SQL condition over one row, or over aggregates such as `count(*)`.
    pub that: Option<String>,
    /// The column that `unique`, `references` or `not_null` checks.
    pub column: Option<String>,
    /// Several columns that `unique` or `not_null` checks.
    pub columns: Option<Vec<String>>,
    /// Requires that no two rows of a load have the same value.
    pub unique: Option<bool>,
    /// Requires that the value exists in `dataset.column`; null passes.
    pub references: Option<String>,
    /// Requires that the value is not null.
    pub not_null: Option<bool>,
    /// The share of rows that must pass, above 0, up to 1; default 1. Below 1, failing rows are quarantined and the others continue.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub at_least: Option<f64>,
    /// `error` holds a load that fails the check, `warn` only reports.
    #[serde(default)]
    #[schemars(schema_with = "value_schema::severity")]
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
        Ok(CheckEntry::Condition(text.to_owned()))
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
