//! The time from the start of the process to its first answer, and the memory of an idle server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ms;
use crate::support::{Server, free_port, good, perennial, quantile};

/// Measured starts; the result is their median.
const STARTS: usize = 11;
/// The time between two requests until the server answers.
const POLL_INTERVAL: Duration = Duration::from_micros(500);
/// The time limit of a start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server is idle before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// One start.
struct Started {
    healthy: Duration,
    ready: Duration,
}

/// The memory of a process, in MB.
struct Memory {
    /// All resident memory, including mapped pages of the binary.
    resident: f64,
    /// The part that is not backed by a file.
    anonymous: f64,
}

/// Measures a new folder, a folder with an empty project, and one with data and a served model.
pub(crate) fn measure(place: &Path, flights: &Path) -> Result<()> {
    println!("\n`perennial up`: median (slowest) of {STARTS} starts; memory {} s after a start", IDLE.as_secs());
    println!("| project | /health answers | /ready answers | resident memory | of which anonymous |");
    println!("|---|---|---|---|---|");
    let fresh = |start: usize| {
        let folder = place.join(format!("fresh-{start}"));
        good(&mut perennial(place, &["init", &folder.display().to_string()]))?;
        Ok(folder)
    };
    row("empty, first start (creates the database)", fresh)?;
    let empty = fresh(STARTS)?;
    start(&empty)?;
    row("empty", |_| Ok(empty.clone()))?;
    row("flights, a model behind an endpoint", |_| Ok(flights.to_owned()))
}

fn row(title: &str, folder: impl Fn(usize) -> Result<std::path::PathBuf>) -> Result<()> {
    let (mut healthy, mut ready) = (Vec::new(), Vec::new());
    let mut memory = None;
    for number in 0..STARTS {
        let (server, started) = start(&folder(number)?)?;
        healthy.push(started.healthy);
        ready.push(started.ready);
        if number + 1 == STARTS {
            std::thread::sleep(IDLE);
            memory = Some(memory_of(server.child.id())?);
        }
    }
    let memory = memory.context("no start was measured")?;
    let shown = |times: &mut Vec<Duration>| format!("{} ({})", ms(quantile(times, 0.5)), ms(quantile(times, 1.0)));
    let (healthy, ready) = (shown(&mut healthy), shown(&mut ready));
    println!("| {title} | {healthy} | {ready} | {:.1} MB | {:.1} MB |", memory.resident, memory.anonymous);
    Ok(())
}

fn start(folder: &Path) -> Result<(Server, Started)> {
    let port = free_port()?;
    let mut command = perennial(folder, &["up", "--port", &port.to_string()]);
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
    Ok((server, started))
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

fn memory_of(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")).with_context(|| format!("no {name}"))?;
        Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e6)
    };
    Ok(Memory { resident: megabytes("VmRSS")?, anonymous: megabytes("RssAnon")? })
}
