//! The metadata database, on SQLite or PostgreSQL.
//!
//! [`Store`] opens one of the two by URL. [`Store::write`] runs a closure in a
//! transaction and answers once it is on disk; [`Store::read`] gives a
//! connection to read from. Each noun has a module: functions that read take
//! `&mut Conn` (a [`Tx`] or a [`Reader`]), functions that write take `&mut Tx`. Callers bring ids and times; a record
//! is inserted whole. `README.md` beside the sources lists everything.
//!
//! No other crate names sqlx. SQL is in `queries/<noun>/<verb>.sql`, one text for
//! both databases, or two side by side where the dialects differ.

#[macro_use]
mod query;
mod backup;
mod conn;
mod dynamic;
mod error;
mod open;
mod outage;
mod page;
mod project_counts;
mod recorded_rows;
mod row;
mod value;
mod writer;

pub mod alerts;
pub mod approval_requests;
pub mod attempts;
pub mod check_results;
pub mod dataset_versions;
pub mod datasets;
pub mod decisions;
pub mod endpoints;
pub mod evidence;
pub mod experiments;
pub mod fuzz;
pub mod grants;
pub mod jobs;
pub mod ledger;
pub mod lineage;
mod load_files;
pub mod loads;
pub mod metrics;
pub mod model_versions;
pub mod monitor_results;
pub mod pipeline_runs;
pub mod prediction_segments;
pub mod principals;
pub mod projects;
pub mod promotions;
pub mod registered_models;
pub mod releases;
pub mod run_artifacts;
pub mod run_contents;
pub mod runs;
pub mod servers;
pub mod sessions;
pub mod source_files;
pub mod source_grants;
pub mod step_runs;
pub mod tokens;
pub mod trigger_firings;
pub mod unreadable;

pub use conn::{Conn, Reader, Tx};
pub use error::{Error, Result};
pub use open::{Options, Schema, Store};
pub use page::{PAGE_MAX, Page};
pub use row::{Readable, UnreadableRow};

/// A JSON document kept as text.
pub type Json = serde_json::Value;
