//! Execution of a step's command.
//!
//! [`LocalRunner`] runs the command as a child process on this machine. The server starts a launcher for each
//! step: the same binary, entered at [`launch_main`]. The launcher starts the step in a sandbox of `perennial-worker`,
//! enforces its limits, writes its log, and kills every process the step left running, even when the server was killed.

mod environment;
mod error;
mod launch;
mod local;
mod program;
mod records;

pub use launch::{LAUNCH_ARGUMENT, launch_main};
pub use local::{LocalPaths, LocalRunner};
