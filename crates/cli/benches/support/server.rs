//! The start of a server, and the memory of a process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::support::{Server, free_port};

/// The time between two requests until the server answers.
const POLL_INTERVAL: Duration = Duration::from_micros(500);
/// The time limit of a start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// One start.
pub(crate) struct Started {
    /// Until `/health` was answered.
    pub(crate) healthy: Duration,
    /// Until `/ready` was answered.
    pub(crate) ready: Duration,
}

/// The memory of a process, in MB.
pub(crate) struct Memory {
    /// All resident memory, including mapped pages of the binary.
    pub(crate) resident: f64,
    /// The part that is not backed by a file.
    pub(crate) anonymous: f64,
}

impl Memory {
    /// The memory of a running process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let megabytes = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes =
                line.and_then(|rest| rest.trim().strip_suffix(" kB")).with_context(|| format!("no {name}"))?;
            Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e6)
        };
        Ok(Self { resident: megabytes("VmRSS")?, anonymous: megabytes("RssAnon")? })
    }
}

/// Starts a server with the command for the arguments of `up`; gives it, its times and its port.
pub(crate) fn start(command: impl FnOnce(&[&str]) -> Command) -> Result<(Server, Started, u16)> {
    let port = free_port()?;
    let mut command = command(&["up", "--port", &port.to_string()]);
    let began = Instant::now();
    let mut server = Server::start(&mut command)?;
    let mut wait = |path: &str| -> Result<Duration> {
        while !is_ok(port, path) {
            server.alive()?;
            if began.elapsed() > START_TIMEOUT {
                bail!("{path} was not answered within {} s", START_TIMEOUT.as_secs());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(began.elapsed())
    };
    let started = Started { healthy: wait("/health")?, ready: wait("/ready")? };
    Ok((server, started, port))
}

/// Whether a request for `path` is answered with status 200.
fn is_ok(port: u16, path: &str) -> bool {
    let request = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head)
    };
    request().is_ok_and(|head| &head == b"HTTP/1.1 200")
}
