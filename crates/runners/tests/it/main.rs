//! Steps as real processes: isolation, ends, limits, output, environments.

#![cfg(test)]

mod adoption;
mod conformance;
mod ends;
mod environments;
mod isolation;
mod limits;
mod output;
mod source_packages;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use perennial_core::Result;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{
    Environment, JobEnd, JobIsolation, JobNetwork, JobSpec, Limits, Outcome, run_to_end,
};
use perennial_runners::{LocalPaths, LocalRunner};
use perennial_worker::ControlGroups;
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

    fn job(&self, argv: &[&str]) -> JobSpec {
        JobSpec {
            id: RunnerJobId::generate(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            folder: self.folder(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            env: BTreeMap::new(),
            environment: system(),
            isolation: JobIsolation::Full,
            network: JobNetwork::Full,
            limits: Limits::default(),
            log: self.outside("log"),
        }
    }

    /// A folder that stands for a control group of the server, for steps with a limit of memory.
    fn control_groups(&self) -> ControlGroups {
        let folder = self.outside("group");
        std::fs::create_dir_all(&folder).unwrap();
        serde_json::from_value(serde_json::json!({ "folder": folder, "server": std::process::id() })).unwrap()
    }

    /// The command that starts the probe with `words`.
    fn probe(&self, words: &[&str]) -> JobSpec {
        self.job(&[&[PROBE], words].concat())
    }

    fn runner(&self) -> LocalRunner {
        self.runner_with(&std::env::var("PATH").unwrap())
    }

    /// A runner whose environments use the programs in the folders of `programs`.
    fn runner_with(&self, programs: &str) -> LocalRunner {
        let (launcher, jobs, cache) = (Path::new(PROBE), &self.outside("jobs"), &self.outside("cache"));
        let runner = LocalRunner::new(LocalPaths { launcher, jobs, cache, programs }).may_run_unisolated(true);
        runner.grace(Duration::from_millis(200))
    }

    /// Starts a server that runs a command; returns the job's id, too.
    fn serve(&self, argv: &[&str]) -> (Child, RunnerJobId) {
        let mut command = Command::new(PROBE);
        command.arg("serve").args([self.folder(), self.outside("log"), self.outside("jobs")]).args(argv);
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut id = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut id).unwrap();
        (server, id.trim().parse().unwrap())
    }

    async fn run(&self, job: JobSpec) -> Outcome {
        self.try_run(job).await.unwrap().outcome().unwrap()
    }

    async fn try_run(&self, job: JobSpec) -> Result<JobEnd> {
        run_to_end(&self.runner(), job).await
    }
}

/// The programs of the machine.
fn system() -> Environment {
    let (path, readable) = (Vec::new(), Vec::new());
    Environment { digest: "system".to_owned(), lock: None, path, readable, reproducible: false }
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
