//! Execution of a step's command.
//!
//! [`LocalRunner`] runs it as a child process on this machine. Between the
//! server and the step stands a launcher: the same binary once more, entered at
//! [`launch_main`]. It isolates the step, watches its limits, writes its log,
//! and ends every process the step left behind, even when the server itself
//! was killed.

mod environment;
mod error;
mod launch;
mod local;
mod program;

pub use launch::{LAUNCH_ARGUMENT, launch_main};
pub use local::LocalRunner;
