//! Sources, versioned datasets, SQL and scans over DataFusion and Delta.
//!
//! [`Engine`] implements the port `perennial_core::port::data::DataEngine`. A load is staged (read,
//! judged in one pass, kept on disk apart), then committed once to a Delta table. The only crate
//! that names arrow, datafusion or deltalake.

mod convert;
mod digest;
mod engine;
mod error;
mod keys;
mod parquet;
mod place;
mod profile;
mod runtime;
mod source;
mod sql;
mod stage;
mod store;
mod table;
mod types;

pub use engine::{Engine, EngineOptions};
pub use source::files_below;
