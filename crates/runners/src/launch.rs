//! The launcher: a small process between server and step.
//!
//! It reads one line of JSON from standard input, the [`LaunchSpec`], runs the command, and prints
//! [`LaunchReport`]s, one line of JSON each. It ends the step early when more input comes, because the server cancels
//! the step, or when its standard input closes, because the server died.

mod output;
mod supervise;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use perennial_core::port::runner::{JobEnd, Limits};
use perennial_worker::{ControlGroups, Program};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::records;

/// The first argument that starts the binary as launcher: `perennial __launch`.
pub const LAUNCH_ARGUMENT: &str = "__launch";

/// Size limit of the launcher's reports, bytes.
pub(crate) const REPORTS_MAX_BYTES: u64 = 64 * 1024;

/// The command to launch, with its sandbox and limits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// The command.
    pub(crate) program: Program,
    /// A folder for temporary files: created before the step, removed after it.
    pub(crate) temporary: PathBuf,
    /// Limits of the whole process tree.
    pub(crate) limits: Limits,
    /// Where a tree with a limit of memory gets a control group, which enforces it.
    pub(crate) control_groups: Option<ControlGroups>,
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

/// Runs a command under the launcher `binary` to its end. Blocks. The launcher ends the command when this process dies.
pub(crate) fn run_blocking(binary: &Path, spec: &LaunchSpec) -> Result<JobEnd> {
    let failed = |error: io::Error| Error::Launcher(error.to_string());
    let mut launcher = Command::new(binary)
        .arg(LAUNCH_ARGUMENT)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io(binary))?;
    let (input, output) = (launcher.stdin.take(), launcher.stdout.take());
    let end = input.zip(output).map(|(mut input, output)| -> io::Result<Option<JobEnd>> {
        let mut line = serde_json::to_vec(spec)?;
        line.push(b'\n');
        input.write_all(&line)?;
        for line in BufReader::new(output.take(REPORTS_MAX_BYTES)).lines() {
            if let LaunchReport::Ended(end) = serde_json::from_str(&line?)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    });
    let status = launcher.wait().map_err(failed)?;
    end.transpose().map_err(failed)?.flatten().ok_or_else(|| Error::Launcher(status.to_string()))
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
