//! Starts programs of the machine inside a sandbox.
//!
//! Between the starting process and the program is this binary itself, entered at [`program_main`]: it puts its own
//! process, which has one thread and nothing else in it, into the sandbox, and becomes the program.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::{Isolation, Sandbox, die_with_parent};
use crate::system;

/// The first argument that starts the binary to become a program in a sandbox: `perennial __program`.
pub const PROGRAM_ARGUMENT: &str = "__program";

/// Time for a start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit of the report about a start, bytes.
const REPORT_MAX_BYTES: u64 = 64 << 10;

/// A program of the machine to start in a sandbox. It reads nothing from standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// Its name and arguments.
    pub argv: Vec<String>,
    /// Its working folder.
    pub folder: PathBuf,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What it may access and use.
    pub sandbox: Sandbox,
}

/// What became of a start.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Isolated(Isolation),
    Failed(String),
}

impl Program {
    /// Starts the program in a process group of its own, and waits until it runs. It is killed when the calling thread
    /// ends.
    ///
    /// `binary` is this program, which calls [`program_main`].
    pub fn spawn(&self, binary: &Path, output: Stdio, errors: Stdio) -> io::Result<(Child, Isolation)> {
        let (mut stream, remote) = UnixStream::pair()?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        let mut child = Command::new(binary)
            .arg0("perennial")
            .arg(PROGRAM_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(remote))
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()?;
        match self.start(&mut stream) {
            Ok(isolation) => Ok((child, isolation)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Gives the process its program; returns when it has become it.
    fn start(&self, stream: &mut UnixStream) -> io::Result<Isolation> {
        stream.write_all(&serde_json::to_vec(self)?)?;
        stream.shutdown(Shutdown::Write)?;
        let mut reports = String::new();
        // The process's end closes when it becomes the program, or ends.
        stream.take(REPORT_MAX_BYTES).read_to_string(&mut reports)?;
        let mut isolation = None;
        for line in reports.lines() {
            match serde_json::from_str(line)? {
                Report::Isolated(found) => isolation = Some(found),
                Report::Failed(reason) => return Err(io::Error::other(reason)),
            }
        }
        isolation.ok_or_else(|| io::Error::other(format!("`{}` ended before it had started", self.file.display())))
    }
}

/// Becomes a program in a sandbox; returns the process's exit status if that fails.
///
/// Call it first in `main` when the first argument is [`PROGRAM_ARGUMENT`], before any thread is started or any file is
/// opened.
pub fn program_main() -> i32 {
    system::close_inherited();
    die_with_parent();
    // A copy that closes when the process becomes the program; standard input is replaced then.
    let Ok(stream) = io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let mut stream = UnixStream::from(stream);
    if let Err(error) = become_program(&mut stream) {
        let _ = report(&mut stream, &Report::Failed(error.to_string()));
    }
    1
}

/// Returns only if it fails.
fn become_program(stream: &mut UnixStream) -> io::Result<()> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let program: Program = serde_json::from_slice(&text)?;
    let isolation = program.sandbox.enter()?;
    // The change of credentials has reset it.
    die_with_parent();
    report(stream, &Report::Isolated(isolation))?;
    std::env::set_current_dir(&program.folder)?;
    let error = system::execute(&program.file, &program.argv, &program.environment);
    Err(io::Error::new(error.kind(), format!("`{}`: {error}", program.file.display())))
}

fn report(stream: &mut UnixStream, report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    stream.write_all(&line)
}
