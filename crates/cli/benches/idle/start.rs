//! From the start of the process to its first answer, and what it holds in memory when idle.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ms;
use crate::support::{Server, free_port, good, perennial, quantile};

/// Starts of which the median counts.
const STARTS: usize = 11;
/// How often to ask until there is an answer.
const ASK_EVERY: Duration = Duration::from_micros(500);
/// When to give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// One start.
struct Started {
    healthy: Duration,
    ready: Duration,
}

/// What a process holds, in MB.
struct Memory {
    /// Everything resident, pages of the binary's file too.
    resident: f64,
    /// Of it, what is no file's.
    anonymous: f64,
}

/// Measures a folder nobody served before, one with an empty project, and one with data and a live model.
pub(crate) fn measure(place: &Path, flights: &Path) -> Result<()> {
    println!("\n`perennial up`: median (slowest) of {STARTS} starts; memory {} s after a start", IDLE.as_secs());
    println!("| project | /health answers | /ready answers | resident | of it anonymous |");
    println!("|---|---|---|---|---|");
    let fresh = |start: usize| {
        let folder = place.join(format!("fresh-{start}"));
        good(&mut perennial(place, &["init", &folder.display().to_string()]))?;
        Ok(folder)
    };
    row("empty, its first start (makes the database)", fresh)?;
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
            memory = Some(held(server.child.id())?);
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
        while !asked(port, path) {
            server.alive()?;
            if began.elapsed() > PATIENCE {
                bail!("{path} was not answered within {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(began.elapsed())
    };
    let started = Started { healthy: wait("/health")?, ready: wait("/ready")? };
    Ok((server, started))
}

/// Whether `path` is answered with 200 now.
fn asked(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head)
    };
    ask().is_ok_and(|head| &head == b"HTTP/1.1 200")
}

fn held(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")).with_context(|| format!("no {name}"))?;
        Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e6)
    };
    Ok(Memory { resident: megabytes("VmRSS")?, anonymous: megabytes("RssAnon")? })
}
