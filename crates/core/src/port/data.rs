//! The data engine: sources, staged loads, versioned tables, SQL.
//!
//! A load is staged (read and checked in one scan, written to the staging area), then committed, held or
//! discarded. The engine has no state beyond the tables and the staging area; the metadata store records the loads.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::TableSum;
use crate::error::Result;
use crate::frame::{Frame, TextColumn};
use crate::id::LoadId;
use crate::name::DatasetName;
use crate::schema::{Schema, TypeClass};

/// How rows enter a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New rows join; a key already there sets the new row aside.
    Append,
    /// New rows join; a key already there is replaced.
    Merge,
    /// New rows take the place of all old ones.
    Replace,
}

/// Format of a source's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Parquet.
    Parquet,
}

/// A source of files: their location and format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSource {
    /// The local folder of a relative glob; the root of the engine when `None`. Set by the server, never by a
    /// client.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// A glob below the root, or a URL with a glob in its path (`s3://bucket/in/*.csv`).
    pub files: String,
    /// The format; `None` derives it from the ending of the file.
    pub format: Option<Format>,
    /// Whether CSV files begin with a header line.
    pub header: bool,
    /// Names of the columns for CSV files without header.
    pub columns: Vec<String>,
    /// The timezone of times without a zone.
    #[serde(default)]
    pub local_time: LocalTime,
}

/// The timezone of the times in a source that have no zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    /// Its IANA name.
    pub timezone: String,
    /// Whether the source declares it; otherwise a load with such times has a warning.
    pub is_declared: bool,
}

impl Default for LocalTime {
    fn default() -> Self {
        Self { timezone: "UTC".to_owned(), is_declared: false }
    }
}

/// A file a source offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path relative to the source's root, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last change, epoch nanoseconds, if the store reports it.
    pub modified_ns: Option<i128>,
    /// The store's entity tag.
    pub etag: Option<String>,
}

impl SourceFile {
    /// Last change, epoch milliseconds, if the store reports it.
    pub fn modified_ms(&self) -> Option<i64> {
        self.modified_ns.and_then(|ns| i64::try_from(ns.div_euclid(1_000_000)).ok())
    }
}

/// The files of a source at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files, ordered by path.
    pub files: Vec<SourceFile>,
    /// The local folders that were read; none for an object store.
    pub folders: Vec<SourceFolder>,
}

/// A local folder of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFolder {
    /// Path relative to the source's root, with `/`.
    pub path: String,
    /// Its last change, epoch nanoseconds, read before its entries; `None` if the file system does not report one.
    pub modified_ns: Option<i128>,
}

/// A table at one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRef {
    /// Folder of the table below the engine's root, such as `<project>/<dataset>`.
    pub path: String,
    /// The Delta version; `None` reads a table that is not there yet as absent.
    pub delta_version: i64,
}

/// A table with its name in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedTable {
    /// The name in SQL.
    pub name: String,
    /// The table.
    pub table: TableRef,
}

/// How severe a failing check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Holds the load.
    Error,
    /// Is reported only.
    Warn,
}

/// A condition on single rows; a row whose result is null passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RowCondition {
    /// A boolean SQL expression over the row.
    Predicate(String),
    /// No other row of the load has the same value in the column.
    Unique(Vec<String>),
    /// The value of the column is one of the values of a column of another table.
    References {
        /// The column to check.
        column: String,
        /// The other table, and the name it has in messages.
        table: NamedTable,
        /// Its column.
        target: String,
    },
}

/// A row check as the scan needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowCheck {
    /// The name of the check; also the reason of the rows that it quarantines.
    pub name: String,
    /// The condition that each row must meet.
    pub condition: RowCondition,
    /// Whether failing rows are quarantined (severity `error`) or only counted.
    pub quarantines: bool,
}

/// An aggregate check as the scan needs it: a boolean SQL expression over aggregates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateCheck {
    /// The check's name.
    pub name: String,
    /// The expression, such as `count(*) BETWEEN 1 AND 9`.
    pub expression: String,
}

/// All checks of the arriving rows; one scan evaluates them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScanPlan {
    /// Checks of rows.
    pub rows: Vec<RowCheck>,
    /// Checks of aggregates, over all arriving rows.
    pub aggregates: Vec<AggregateCheck>,
}

/// Where the rows to be staged come from.
#[derive(Debug, Clone)]
pub enum StageInput {
    /// Files of a source, read under one schema.
    Files {
        /// The source.
        source: FilesSource,
        /// Files as [`DataEngine::list`] returned them. A file whose size or time differs after the scan was written
        /// to during the scan, and the load fails.
        files: Vec<SourceFile>,
    },
    /// The result of a query over tables.
    Sql {
        /// One SELECT.
        sql: String,
        /// The tables it may name.
        tables: Vec<NamedTable>,
    },
    /// Parquet files in a local folder or file (a step's output).
    Parquet(PathBuf),
    /// One JSON object a line (pushed rows).
    JsonLines(Bytes),
    /// Rows in memory by column, each column of one length and of a type of its own (sealed predictions).
    Columns(Arc<[ValueColumn]>),
    /// The rows that this load has staged before, quarantined rows included. They are checked again, because the
    /// table has a newer version (a held load that is accepted).
    Staged,
}

/// A named column of rows in memory. Its type is explicit, never inferred from its values.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueColumn {
    /// The name.
    pub name: String,
    /// The values, one a row.
    pub values: Values,
}

/// Values of one class.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Whole numbers, none missing.
    Int(Vec<i64>),
    /// Floating-point numbers; NaN is missing.
    Float(Vec<f64>),
    /// Text.
    Text(TextColumn),
}

impl Values {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Text(text) => text.codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of the column.
    pub fn class(&self) -> TypeClass {
        match self {
            Self::Int(_) => TypeClass::Int,
            Self::Float(_) => TypeClass::Float,
            Self::Text(_) => TypeClass::Text,
        }
    }
}

/// A request to stage rows for one dataset.
#[derive(Debug, Clone)]
pub struct StageRequest {
    /// The load; names the staging area, so staging again replaces it.
    pub load: LoadId,
    /// The dataset, for messages.
    pub dataset: DatasetName,
    /// The dataset's table; its present state if it has one.
    pub base: Option<TableRef>,
    /// Where the rows come from.
    pub input: StageInput,
    /// How they enter.
    pub mode: Mode,
    /// The dataset's key columns, maybe none.
    pub key: Vec<String>,
    /// The dataset's schema so far; `None` takes the rows' own.
    pub schema: Option<Schema>,
    /// Columns of the dataset that the rows may lack; missing values are null. These are the columns that were added
    /// after the first rows.
    pub optional: Vec<String>,
    /// Whether any schema change is accepted (declared evolution, or a step's output).
    pub evolve: bool,
    /// Load id whose rows this load replaces (`on_change = "replace"`).
    pub replaces: Option<LoadId>,
    /// The checks of the rows.
    pub plan: ScanPlan,
}

/// The result of one row check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowAnswer {
    /// The check.
    pub name: String,
    /// Rows checked.
    pub rows: u64,
    /// Rows that failed.
    pub failed: u64,
    /// A few failing values or rows, as text, at most five.
    pub samples: Vec<String>,
}

/// The result of one aggregate check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggregateAnswer {
    /// The check.
    pub name: String,
    /// Whether it was true; `None` when the expression was null.
    pub holds: Option<bool>,
    /// The aggregates it saw, such as `count(*)` = `28243`.
    pub values: Vec<(String, serde_json::Value)>,
}

/// The profile of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// The column.
    pub name: String,
    /// Its class, as text.
    pub class: String,
    /// Rows.
    pub rows: u64,
    /// Nulls (NaN too).
    pub nulls: u64,
    /// Distinct values, approximately (HyperLogLog).
    pub distinct: u64,
    /// Smallest value, as JSON.
    pub min: Option<serde_json::Value>,
    /// Greatest value, as JSON.
    pub max: Option<serde_json::Value>,
    /// Mean of numbers.
    pub mean: Option<f64>,
    /// Standard deviation of numbers.
    pub deviation: Option<f64>,
    /// Approximate 5 %, 25 %, 50 %, 75 %, 95 % quantiles of numbers.
    pub quantiles: Option<[f64; 5]>,
    /// The most frequent values of text and booleans, with their counts, at most ten.
    pub top: Vec<(String, u64)>,
}

/// A staged load: rows that are checked and not yet in the dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    /// Schema of the dataset when this load is committed.
    pub schema: Schema,
    /// Rows that arrived.
    pub arrived: u64,
    /// Rows that would enter.
    pub passing: u64,
    /// Quarantined rows, by reason: check names, `null key`, `repeated key`, `key exists`.
    #[serde(rename = "aside")]
    pub quarantined: Vec<(String, u64)>,
    /// Results of the row checks, in plan order.
    pub rows: Vec<RowAnswer>,
    /// Results of the aggregate checks, in plan order.
    pub aggregates: Vec<AggregateAnswer>,
    /// Profile of the arriving rows.
    pub profile: Vec<ColumnProfile>,
    /// What a person should know about the rows that were accepted: numbers stored as text, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What committing the passing rows changes.
    pub change: Change,
    /// What committing every row (`--all`) changes.
    pub change_all: Change,
}

/// How a commit changes the table's rows and digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Rows that are added.
    pub added_rows: u64,
    /// The sum of their row hashes.
    pub added: TableSum,
    /// Rows that are removed (merge, replaced loads). With mode `replace` all rows are removed, and this is 0.
    pub removed_rows: u64,
    /// The sum of their row hashes.
    pub removed: TableSum,
}

/// A request to commit staged rows.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The load that was staged.
    pub load: LoadId,
    /// Folder of the dataset's table below the engine's root.
    pub table: String,
    /// The number of this commit.
    pub number: i64,
    /// The number of the last commit of the table, which is checked; 0 for a table that does not exist.
    pub previous: i64,
    /// Whether quarantined rows are committed too.
    pub all: bool,
}

/// What was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The Delta version that holds the number.
    pub delta_version: i64,
    /// Bytes of all files of that version.
    pub bytes: u64,
}

/// The last commit of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The last number committed.
    pub number: i64,
    /// Its Delta version.
    pub delta_version: i64,
    /// Bytes of all files of that version.
    pub bytes: u64,
}

/// A query of a person: read-only, with a limit.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// One SELECT.
    pub sql: String,
    /// The tables it may name.
    pub tables: Vec<NamedTable>,
    /// Rows of the answer at most.
    pub limit: usize,
}

/// A small page of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Names and classes of the columns.
    pub schema: Schema,
    /// The rows, values in column order.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether there are more rows than the limit.
    pub truncated: bool,
}

/// A request for rows in memory.
#[derive(Debug, Clone)]
pub struct FrameRequest {
    /// One SELECT; its columns become the frame's. Timestamps become epoch seconds, dates too.
    pub sql: String,
    /// The tables it may name.
    pub tables: Vec<NamedTable>,
    /// Columns that identify rows, classes or slices. Integers and decimals in them become text if a double does not hold all
    /// of them.
    pub keys: Vec<String>,
}

/// The dialect of SQL that steps and checks are written in.
pub trait Dialect {
    /// The tables that one SELECT names, ordered; an error with line and column when the text cannot be parsed
    /// or is not one SELECT.
    fn tables_in(&self, sql: &str) -> Result<Vec<String>>;

    /// Validates the condition of a check: a single SQL expression without queries and windows that calls known functions
    /// only. Columns and types are validated by [`DataEngine::validate_checks`].
    fn validate_condition(&self, condition: &str) -> Result<()>;
}

/// The data engine.
#[async_trait]
pub trait DataEngine: Dialect + Send + Sync {
    /// The files of a source now: one system call a file, or one request for every thousand objects.
    async fn list(&self, source: &FilesSource) -> Result<Listing>;

    /// The columns of files, with the types that their first load would give them. Text files are read whole.
    async fn columns(&self, source: &FilesSource, files: &[SourceFile]) -> Result<Schema>;

    /// Whether a folder of a listing has changed since: a file in it was created, renamed or removed. A file that is
    /// rewritten in place changes no folder. One system call a folder.
    async fn folders_changed(&self, source: &FilesSource, folders: &[SourceFolder]) -> Result<bool>;

    /// BLAKE3 of a file's content, in hex.
    async fn fingerprint(&self, source: &FilesSource, path: &str) -> Result<String>;

    /// BLAKE3 of the first `bytes` of a file's content, in hex; of all of it where the file is shorter.
    async fn fingerprint_start(&self, source: &FilesSource, path: &str, bytes: u64) -> Result<String>;

    /// Reads rows, checks them in one scan and writes them to the staging area; they are on disk when this
    /// returns.
    async fn stage(&self, request: StageRequest) -> Result<Staged>;

    /// Writes the quarantined rows of a staged load to the quarantine table of the dataset
    /// (`<table>.quarantine`): its columns as text or JSON, `_load`, `_reason`. Idempotent: rows of a load that was
    /// staged again replace its earlier rows.
    async fn quarantine(&self, load: LoadId, table: &str) -> Result<()>;

    /// Commits a staged load with its number, once: for a number that is committed already, the earlier result is
    /// returned. Refused when `previous` is not the last number of the table.
    async fn commit(&self, request: CommitRequest) -> Result<Committed>;

    /// Deletes a staged load.
    async fn discard(&self, load: LoadId) -> Result<()>;

    /// Deletes every staged load except `keep`: loads of servers that were killed.
    async fn sweep(&self, keep: &[LoadId]) -> Result<()>;

    /// Waits until running stages and commits end, and blocks new ones until the returned guard is dropped. Reads
    /// continue.
    async fn pause_writes(&self) -> Box<dyn Send>;

    /// The last commit of a table; `None` when the table does not exist.
    async fn position(&self, table: &str) -> Result<Option<Position>>;

    /// Plans a SELECT over the tables and returns its schema.
    async fn plan(&self, request: &FrameRequest) -> Result<Schema>;

    /// Validates checks against the schema of a dataset: an error when a check names an unknown column or does not
    /// evaluate to true or false. No row is read.
    async fn validate_checks(&self, schema: &Schema, plan: &ScanPlan) -> Result<()>;

    /// Answers a query of a person.
    async fn query(&self, request: QueryRequest) -> Result<Page>;

    /// Quarantined rows of these loads, newest load first.
    async fn quarantined(&self, table: &str, loads: &[LoadId], limit: usize) -> Result<Page>;

    /// Reads rows into memory.
    async fn frame(&self, request: FrameRequest) -> Result<Frame>;

    /// Writes the result of a SELECT as one Parquet file at a local path; returns the number of rows.
    async fn export(&self, request: FrameRequest, path: PathBuf) -> Result<u64>;
}
