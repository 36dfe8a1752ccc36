//! Sources, versioned datasets, SQL and scans over DataFusion and Delta.
//!
//! [`Engine`] implements the port `perennial_core::port::data::DataEngine`. A load is staged (read and checked in one
//! pass, written to a staging area), then committed once to a Delta table. Only this crate uses arrow, datafusion and
//! deltalake.

mod convert;
mod digest;
mod engine;
mod error;
mod keys;
mod location;
mod origin;
mod parquet;
mod profile;
mod runtime;
mod source;
mod sql;
mod stage;
mod staging_area;
mod store;
mod table;
mod types;
mod worker;

pub use engine::{Engine, EngineOptions};
pub use source::{files_below, fuzz};
pub use worker::{WORKER_ROLE, WorkerEngine, WorkerOptions};
