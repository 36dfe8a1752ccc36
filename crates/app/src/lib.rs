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
pub mod clock;
pub mod collect;
pub mod decisions;
pub mod endpoints;
pub mod loads;
pub mod monitors;
pub mod pipelines;
pub mod predictions;
pub mod projects;
pub mod steps;
pub mod tables;
pub mod triggers;

pub use app::{App, Caller, Services};
pub use live::{Answering, Canary, Counts, Deployment, Live, reading};
pub use project::{ProjectState, Submission};
pub use split::{LABELLED_SHARE, Split};
