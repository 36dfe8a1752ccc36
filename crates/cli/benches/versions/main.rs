//! Two versions of the binary side by side: the demo, a start, idle memory, a run with nothing to do, one-row requests,
//! and MLflow's logging.
//!
//! `cargo xtask bench versions OLD` runs it, with the path of the earlier binary. The versions take turns within each
//! figure, so that other work on the machine slows both. It prints figures and has no limits.

#[path = "../support/load.rs"]
mod load;
mod requests;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use server::{Memory, start};
use support::{Server, binary, good, machine};

/// Measured demos of each version.
const DEMOS: usize = 2;
/// Measured starts of each version.
const STARTS: usize = 11;
/// Measured runs with nothing to do of each version.
const RUNS: usize = 11;
/// Measured rounds of requests of each version, and their duration.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(4);
/// Rounds of logging of each version.
const LOGGED_ROUNDS: usize = 5;
/// How long a server is idle before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
/// The greatest number of runs until nothing is left to do; the run after a release evaluates the new champion.
const SETTLE_MAX: usize = 4;
/// The interval at which the memory of a demo is read.
const MEMORY_POLL: Duration = Duration::from_millis(20);

/// One of the two binaries, with its folder of projects.
struct Version {
    binary: PathBuf,
    folder: PathBuf,
}

impl Version {
    fn command(&self, project: &str, args: &[&str]) -> Command {
        binary(&self.binary, &self.folder.join(project), args)
    }

    fn start(&self, project: &str) -> Result<(Server, server::Started, u16)> {
        start(|args| self.command(project, args))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let old = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let old = old.context("usage: cargo xtask bench versions OLD, the path of the earlier binary")?;
    let old = std::fs::canonicalize(&old).with_context(|| format!("the earlier binary {old}"))?;
    println!("{}", machine());
    let place = tempfile::tempdir()?;
    let version = |title: &str, binary: &Path| -> Result<Version> {
        let folder = place.path().join(title);
        std::fs::create_dir(&folder)?;
        Ok(Version { binary: binary.to_owned(), folder })
    };
    let versions = [version("before", &old)?, version("after", Path::new(env!("CARGO_BIN_EXE_perennial")))?];

    println!("| median | before | after | after / before |");
    println!("|---|---|---|---|");
    row(
        "binary",
        &each(&versions, 1, |version| Ok(vec![std::fs::metadata(&version.binary)?.len() as f64 / 1e6]))?,
        &["size, MB"],
    );
    eprintln!("the demo, {DEMOS} times each");
    row("demo", &each(&versions, DEMOS, demo)?, &["elapsed, s", "peak of resident memory, MB"]);
    eprintln!("preparing: a year of flights, collected, trained and released");
    for version in &versions {
        prepare(version)?;
    }
    eprintln!("starts and runs");
    row("start, empty project", &each(&versions, STARTS, first_answer)?, &["`/health`, ms", "`/ready`, ms"]);
    row("idle", &each(&versions, 3, idle)?, &["resident memory, MB", "of which anonymous, MB"]);
    row("`perennial run` with nothing to do, flights", &each(&versions, RUNS, nothing)?, &["elapsed, ms"]);
    eprintln!("requests");
    requests::measure(&versions).await
}

/// Calls a measurement for each version in turn, `times` times; the median of each of its figures for each version.
fn each(
    versions: &[Version; 2],
    times: usize,
    mut measure: impl FnMut(&Version) -> Result<Vec<f64>>,
) -> Result<[Vec<f64>; 2]> {
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (version, measured) in versions.iter().zip(&mut measured) {
            measured.push(measure(version)?);
        }
    }
    Ok(measured.map(medians))
}

/// The median of each figure over several measurements.
fn medians(measured: Vec<Vec<f64>>) -> Vec<f64> {
    let figures = measured.first().map_or(0, Vec::len);
    let median = |figure: usize| {
        let mut values: Vec<f64> = measured.iter().map(|figures| figures[figure]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (0..figures).map(median).collect()
}

/// Prints a line for each figure.
fn row(title: &str, [before, after]: &[Vec<f64>; 2], names: &[&str]) {
    for ((before, after), name) in before.iter().zip(after).zip(names) {
        println!("| {title}: {name} | {} | {} | {:.2} |", shown(*before), shown(*after), after / before);
    }
}

/// Three significant digits, or all digits before the point.
fn shown(figure: f64) -> String {
    let decimals = if figure >= 100.0 { 0 } else { 1 + usize::from(figure < 10.0) };
    format!("{figure:.decimals$}")
}

/// Elapsed seconds, and the peak of the resident memory in MB.
fn demo(version: &Version) -> Result<Vec<f64>> {
    let began = Instant::now();
    let mut command = version.command(".", &["demo", "demo"]);
    let mut server = Server::start(&mut command)?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = server.child.try_wait()? {
            break status;
        }
        // The process may end between the two lines.
        peak = Memory::of(server.child.id()).map_or(peak, |memory| peak.max(memory.resident));
        std::thread::sleep(MEMORY_POLL);
    };
    if !status.success() {
        bail!("the demo of {} failed: {status}", version.binary.display());
    }
    Ok(vec![began.elapsed().as_secs_f64(), peak])
}

/// Makes an empty project with a database, and the flights with a released model and nothing to do.
fn prepare(version: &Version) -> Result<()> {
    good(&mut version.command(".", &["init", "empty"]))?;
    version.start("empty")?;
    good(&mut version.command(".", &["init", "--example", "flights", "flights"]))?;
    good(&mut version.command("flights", &["release"]))?;
    for _ in 0..SETTLE_MAX {
        if is_idle(version)? {
            return Ok(());
        }
    }
    bail!("{SETTLE_MAX} runs left something to do")
}

fn is_idle(version: &Version) -> Result<bool> {
    Ok(good(&mut version.command("flights", &["run"]))?.starts_with("nothing to do"))
}

fn first_answer(version: &Version) -> Result<Vec<f64>> {
    let (_server, started, _) = version.start("empty")?;
    Ok([started.healthy, started.ready].map(|time| time.as_secs_f64() * 1000.0).to_vec())
}

fn idle(version: &Version) -> Result<Vec<f64>> {
    let (server, ..) = version.start("empty")?;
    std::thread::sleep(IDLE);
    let memory = Memory::of(server.child.id())?;
    Ok(vec![memory.resident, memory.anonymous])
}

fn nothing(version: &Version) -> Result<Vec<f64>> {
    let began = Instant::now();
    if !is_idle(version)? {
        bail!("a run found something to do");
    }
    Ok(vec![began.elapsed().as_secs_f64() * 1000.0])
}
