//! The launcher: a small process between server and step.
//!
//! It reads one line of JSON from standard input, the [`Order`], runs it, and
//! prints one line of JSON, the [`Answer`]. When its standard input ends before
//! that, the server is gone or has lost interest, and the step is ended.

pub(crate) mod isolation;
mod output;
mod supervise;
mod tree;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::Duration;

use perennial_core::port::runner::{Limits, Outcome};
use serde::{Deserialize, Serialize};

/// The first argument that makes the binary a launcher: `perennial __launch`.
pub const LAUNCH_ARGUMENT: &str = "__launch";

/// What the launcher shall do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Program name and arguments as the step wrote them.
    pub(crate) argv: Vec<String>,
    /// Working directory; the step may do anything in it.
    pub(crate) folder: PathBuf,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Further paths the step may read.
    pub(crate) readable: Vec<PathBuf>,
    /// A folder for temporary files, made before and removed after.
    pub(crate) temporary: PathBuf,
    /// Limits.
    pub(crate) limits: Limits,
    /// Time between the request to end and the kill.
    pub(crate) grace: Duration,
    /// File that receives output.
    pub(crate) log: PathBuf,
    /// Output beyond this is dropped, and that is said.
    pub(crate) log_max_bytes: u64,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It ran.
    Ended(Outcome),
    /// It could not start.
    Failed(String),
}

/// Runs the order on standard input and prints the answer; gives the exit status for the process.
///
/// To be called first in `main` when the first argument is [`LAUNCH_ARGUMENT`], before any thread
/// is started.
pub fn launch_main() -> i32 {
    // What a server settles for its own memory, a step's programs settle for theirs.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    let answer = match read_order() {
        Ok(order) => match supervise::run(&order) {
            Ok(outcome) => Answer::Ended(outcome),
            Err(error) => Answer::Failed(error.to_string()),
        },
        Err(error) => Answer::Failed(format!("no order came: {error}")),
    };
    // When nobody listens any more there is nobody to tell.
    let told = serde_json::to_writer(io::stdout(), &answer);
    i32::from(told.is_err())
}

fn read_order() -> io::Result<Order> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
