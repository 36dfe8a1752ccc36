//! The project file: `perennial.toml`, parsed, validated and published as types.
//!
//! [`Project::validate`] returns the whole project, or every error it can find
//! in one pass, each with file, line, column, the offending words and a
//! suggestion. The types of [`mod@file`] mirror the text, and the JSON schema is
//! generated from them; [`Project`] is the validated form that other crates use.

mod diagnostic;
mod document;
pub mod file;
pub mod fuzz;
mod graph;
mod parse;
mod project;
mod schema;
mod settle_time;
mod size;
mod template;
mod validate;
mod validation_context;
mod value_schema;

pub use diagnostic::{Diagnostic, Diagnostics, KeyDiagnostic, locate};
pub use file::{Batch, Dataset, Identity, Isolation, Network, OnChange, OutputKind, Release, Source, Start, Task};
pub use graph::{Graph, GraphNode};
pub use project::{
    Canary, Check, Condition, DeclaredFile, Endpoint, Environment, Event, Input, Monitor, Output, Project, Run,
    Schedule, Step, StepKind, StepLimits, Trigger, declared_files_in, predictions_of,
};
pub use schema::{json_schema, json_schema_text};
pub use settle_time::SettleTime;
pub use size::Size;
pub use template::template;
pub use validation_context::{Files, Param, ParamKind, TrainerSpec, ValidationContext};

/// The project file's name in a project's folder.
pub const FILE_NAME: &str = "perennial.toml";
/// The longest project file, in bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest request body that an endpoint may accept, in bytes.
pub const REQUEST_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The most diagnostics reported for one file; further ones appear once these are fixed.
pub const DIAGNOSTICS_MAX: usize = 50;
