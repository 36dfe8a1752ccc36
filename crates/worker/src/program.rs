//! Starts programs of the machine inside a sandbox.
//!
//! Between the starting process and the program is this binary itself, entered at [`program_main`]: it puts its own
//! process, which has one thread and nothing else in it, into the sandbox, and becomes the program.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::relay::Relay;
use crate::sandbox::{Entered, Isolation, Network, Sandbox, die_with_parent};
use crate::system;

/// The first argument that starts the binary to become a program in a sandbox: `perennial __program`.
pub const PROGRAM_ARGUMENT: &str = "__program";

/// Time for a start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit of the report about a start, bytes.
const REPORT_MAX_BYTES: usize = 64 << 10;

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

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// Its process.
    pub child: Child,
    /// The isolation in force.
    pub isolation: Isolation,
    /// Its way to the server, if its network has only the server's address. Keep it until the program has ended.
    pub relay: Option<Relay>,
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
    pub fn spawn(&self, binary: &Path, output: Stdio, errors: Stdio) -> io::Result<Running> {
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
            Ok((isolation, relay)) => Ok(Running { child, isolation, relay }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Gives the process its program; returns when it has become it.
    fn start(&self, stream: &mut UnixStream) -> io::Result<(Isolation, Option<Relay>)> {
        stream.write_all(&serde_json::to_vec(self)?)?;
        stream.shutdown(Shutdown::Write)?;
        let (reports, listener) = receive_reports(stream)?;
        let mut isolation = None;
        for line in reports.lines() {
            match serde_json::from_str(line)? {
                Report::Isolated(found) => isolation = Some(found),
                Report::Failed(reason) => return Err(io::Error::other(reason)),
            }
        }
        let Some(isolation) = isolation else {
            return Err(io::Error::other(format!("`{}` ended before it had started", self.file.display())));
        };
        let relay = match (self.sandbox.network, listener) {
            (Network::Server(server), Some(listener)) => Some(Relay::start(listener, server)?),
            _ => None,
        };
        Ok((isolation, relay))
    }
}

/// The reports of a process until it becomes its program or ends, and its listener.
fn receive_reports(stream: &UnixStream) -> io::Result<(String, Option<TcpListener>)> {
    let (mut reports, mut descriptors) = (Vec::new(), Vec::new());
    let mut part = [0; 4096];
    loop {
        match system::receive(stream, &mut part, &mut descriptors) {
            Ok(0) => break,
            Ok(length) => reports.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if reports.len() > REPORT_MAX_BYTES {
            return Err(io::Error::other("the report about the start is too long"));
        }
    }
    let reports = String::from_utf8(reports).map_err(io::Error::other)?;
    Ok((reports, descriptors.pop().map(TcpListener::from)))
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
        let _ = report(&stream, &Report::Failed(error.to_string()), &[]);
    }
    1
}

/// Returns only if it fails.
fn become_program(stream: &mut UnixStream) -> io::Result<()> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let program: Program = serde_json::from_slice(&text)?;
    let Entered { isolation, listener } = program.sandbox.enter()?;
    // The change of credentials has reset it.
    die_with_parent();
    let descriptors: Vec<OwnedFd> = listener.into_iter().map(OwnedFd::from).collect();
    report(stream, &Report::Isolated(isolation), &descriptors)?;
    drop(descriptors);
    std::env::set_current_dir(&program.folder)?;
    let error = system::execute(&program.file, &program.argv, &program.environment);
    Err(io::Error::new(error.kind(), format!("`{}`: {error}", program.file.display())))
}

fn report(mut stream: &UnixStream, report: &Report, descriptors: &[OwnedFd]) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let sent = system::send(stream, &line, descriptors)?;
    stream.write_all(&line[sent..])
}
