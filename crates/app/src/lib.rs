//! Use cases: one module a noun, one function a verb. Each reads top to bottom:
//! authorize, load, decide (a pure function), write, record, commit. Authorization
//! and transactions live here and nowhere else.
//!
//! The doors (`api`, `console`, `cli`) call these with a [`Caller`]; what differs in
//! kind (data engine, runner, trainer, model runtime, prediction log) comes in
//! through the ports of `perennial_core::port`.

mod app;
mod live;
mod project;
mod split;

pub mod access;
pub mod alerts;
pub mod backup;
pub mod clock;
pub mod collect;
pub mod datasets;
pub mod decisions;
pub mod deployments;
pub mod endpoints;
pub mod evidence;
pub mod lease;
pub mod ledger;
pub mod lineage;
pub mod loads;
pub mod models;
pub mod monitor_results;
pub mod monitors;
pub mod pipeline_runs;
pub mod pipelines;
pub mod predictions;
pub mod projects;
pub mod releases;
pub mod sent;
pub mod steps;
pub mod supervise;
pub mod tables;
pub mod tracking;
pub mod triggers;

pub use app::{App, Caller, Services};
pub use live::{Answering, Canary, Counts, Deployment, Held, Live};
pub use perennial_config::{Diagnostic, Diagnostics};
pub use project::{ProjectState, Submission};
pub use split::{LABELLED_SHARE, Split};
