//! Ingestion: from files to versions of datasets.
//!
//! ```text
//! source ─▶ discovery ─▶ load (stage, check, commit once or hold) ─▶ dataset version
//! prediction log ─▶ segments ─▶ load ─▶ dataset `predictions_<endpoint>`
//! ```

mod file_source;
mod ingest;
mod settling;
mod source_watch;

pub mod checks;
pub mod collect;
pub mod datasets;
pub mod loads;
pub mod predictions;
pub mod snapshot;
pub mod source_alerts;
pub mod source_columns;

pub use file_source::FileSource;
pub use ingest::Ingest;
