//! The launcher: a small process between server and step.
//!
//! It reads one line of JSON from standard input, the [`LaunchSpec`], runs the command, and prints
//! [`LaunchReport`]s, one line of JSON each. It ends the step early when more input comes, because the server cancels
//! the step, or when its standard input closes, because the server died.

pub(crate) mod isolation;
mod output;
pub(crate) mod process_tree;
mod supervise;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use perennial_core::port::runner::{JobEnd, Limits};
use serde::{Deserialize, Serialize};

use crate::records;

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
    /// File that receives the [`JobEnd`] as JSON, for a server that is restarted before it reads the report.
    pub(crate) end: PathBuf,
}

/// A change that the launcher reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LaunchReport {
    /// The command has started.
    Started,
    /// The job has ended: the last report.
    Ended(JobEnd),
}

/// Runs the launcher; returns the process's exit status.
///
/// Call it first in `main` when the first argument is [`LAUNCH_ARGUMENT`], before any thread is started.
pub fn launch_main() -> i32 {
    // The server's setting for its own memory must not be inherited by a step's programs.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    let end = match read_spec() {
        Ok(spec) => {
            let end = supervise::run(&spec).unwrap_or_else(|error| JobEnd::NotStarted(error.to_string()));
            // Without it, a restarted server takes the job for one that ended with the server before.
            let _ = records::write(&spec.end, &end);
            end
        }
        Err(error) => JobEnd::NotStarted(format!("cannot read the launch specification: {error}")),
    };
    i32::from(report(&LaunchReport::Ended(end)).is_err())
}

/// Prints a report; fails when the server died.
fn report(report: &LaunchReport) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut out = io::stdout();
    out.write_all(&line)?;
    out.flush()
}

fn read_spec() -> io::Result<LaunchSpec> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
