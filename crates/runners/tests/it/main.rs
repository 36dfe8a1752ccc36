//! Steps as real processes: isolation, ends, limits, output, environments.

#![cfg(test)]

mod ends;
mod environments;
mod isolation;
mod limits;
mod output;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perennial_core::port::runner::{Command, Limits, Outcome, Runner};
use perennial_runners::LocalRunner;
use tempfile::TempDir;

/// The binary of the launcher and of the misbehaving steps.
const PROBE: &str = env!("CARGO_BIN_EXE_perennial-runners-probe");

/// The folder and log of a test's step.
struct TestStep {
    temp: TempDir,
}

impl TestStep {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        std::fs::create_dir(temp.path().join("step")).unwrap();
        Self { temp }
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("step")
    }

    /// A path beside the step's folder, which the step may not access.
    fn outside(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.outside("log")).unwrap_or_default()
    }

    fn command(&self, argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            folder: self.folder(),
            env: BTreeMap::new(),
            readable: Vec::new(),
            limits: Limits::default(),
            log: self.outside("log"),
        }
    }

    /// The command that starts the probe with `words`.
    fn probe(&self, words: &[&str]) -> Command {
        self.command(&[&[PROBE], words].concat())
    }

    fn runner(&self) -> LocalRunner {
        let path = std::env::var("PATH").unwrap();
        LocalRunner::new(Path::new(PROBE), &self.outside("cache"), &path).grace(Duration::from_millis(200))
    }

    async fn run(&self, command: Command) -> Outcome {
        self.runner().run(command).await.unwrap()
    }
}

/// Whether a process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until `condition` holds; panics after a minute.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "waited a minute until {what}");
        std::thread::yield_now();
    }
}
