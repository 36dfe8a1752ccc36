//! The project file: `perennial.toml`, parsed, judged and published as types.
//!
//! [`Project::judge`] answers with the whole project or with every mistake it
//! can find at once, each with file, line, column, the words at fault and a
//! suggestion. The types of [`mod@file`] are what the text says, and the JSON
//! schema is made of them; [`Project`] is what the rest of Perennial reads.

mod diagnostic;
mod document;
pub mod file;
mod graph;
mod judge;
mod project;
mod schema;
mod shape;
mod size;
mod surroundings;
mod template;

pub use diagnostic::{Diagnostic, Diagnostics, Mistake, place};
pub use file::{Batch, Dataset, Identity, Isolation, OnChange, OutputKind, Release, Source, Start, Task};
pub use graph::{Graph, Thing};
pub use project::{
    Act, Canary, Check, Endpoint, Environment, Event, Input, Monitor, Output, Project, Question, Run, Schedule, Step,
    StepLimits, Trigger, predictions_of,
};
pub use schema::{json_schema, json_schema_text};
pub use size::Size;
pub use surroundings::{Files, Param, ParamKind, Surroundings, TrainerSpec};
pub use template::template;

/// The project file's name in a project's folder.
pub const FILE_NAME: &str = "perennial.toml";
/// The longest project file, in bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest request an endpoint may take, in bytes.
pub const REQUEST_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Mistakes told at once; the rest waits until these are mended.
pub const MISTAKES_MAX: usize = 50;
