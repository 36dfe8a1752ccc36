//! The launcher: a small process between server and step.
//!
//! It reads one line of JSON from standard input, the [`LaunchSpec`], runs the command, and prints one line of
//! JSON, the [`LaunchReport`]. It ends the step early when its standard input closes: the server cancelled the
//! step or died.

pub(crate) mod isolation;
mod output;
mod process_tree;
mod supervise;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::Duration;

use perennial_core::port::runner::{Limits, Outcome};
use serde::{Deserialize, Serialize};

/// The first argument that starts the binary as launcher: `perennial __launch`.
pub const LAUNCH_ARGUMENT: &str = "__launch";

/// The command to launch, with its isolation and limits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Program name and arguments as the step declares them.
    pub(crate) argv: Vec<String>,
    /// Working directory, readable and writable.
    pub(crate) folder: PathBuf,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Further paths the step may read.
    pub(crate) readable: Vec<PathBuf>,
    /// A folder for temporary files: created before the step, removed after it.
    pub(crate) temporary: PathBuf,
    /// Limits.
    pub(crate) limits: Limits,
    /// Time between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// File that receives output.
    pub(crate) log: PathBuf,
    /// Size limit of the log; output beyond it is dropped, which the log says in its last line.
    pub(crate) log_max_bytes: u64,
}

/// The result of a launch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LaunchReport {
    /// The command ran and ended.
    Ended(Outcome),
    /// The command could not start.
    Failed(String),
}

/// Runs the launcher; returns the process's exit status.
///
/// Call it first in `main` when the first argument is [`LAUNCH_ARGUMENT`], before any thread is started.
pub fn launch_main() -> i32 {
    // The server's setting for its own memory must not be inherited by a step's programs.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    let report = match read_spec() {
        Ok(spec) => match supervise::run(&spec) {
            Ok(outcome) => LaunchReport::Ended(outcome),
            Err(error) => LaunchReport::Failed(error.to_string()),
        },
        Err(error) => LaunchReport::Failed(format!("cannot read the launch specification: {error}")),
    };
    // Fails when the server died.
    let written = serde_json::to_writer(io::stdout(), &report);
    i32::from(written.is_err())
}

fn read_spec() -> io::Result<LaunchSpec> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
