//! Runners: where a step's command executes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Limits of one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time.
    pub time: Option<Duration>,
    /// Resident memory of the process tree, bytes.
    pub memory_bytes: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
}

/// One command to execute.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// The step's clean folder: working directory, readable and writable.
    pub folder: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Paths the step may read beside its folder and the system's libraries: its environment.
    pub readable: Vec<PathBuf>,
    /// Limits.
    pub limits: Limits,
    /// File that receives standard output and error, line by line, as they are written.
    pub log: PathBuf,
}

/// The environment that a step declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvironmentSpec {
    /// The programs installed on the machine; not reproducible.
    System,
    /// A Python environment from a requirements file's content.
    Uv {
        /// The requirements, as text.
        requirements: String,
    },
}

/// A resolved environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Content digest of its lock, or of the executable's bytes. Part of the cache key.
    pub digest: String,
    /// The lock's text, when there is one.
    pub lock: Option<String>,
    /// Folders put first on `PATH`.
    pub path: Vec<PathBuf>,
    /// Folders a step may read to use it.
    pub readable: Vec<PathBuf>,
    /// Whether the same digest gives the same programs on every machine.
    pub reproducible: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Exited with a status.
    Code(i32),
    /// Killed by a signal.
    Signal(i32),
    /// Stopped at its time limit.
    TimeLimit,
    /// Stopped at its memory limit.
    MemoryLimit,
    /// Stopped because the pipeline run was cancelled.
    Cancelled,
}

/// How an attempt ended and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// Wall time.
    pub wall_ms: i64,
    /// Peak resident memory, bytes, on systems that report it.
    pub peak_memory_bytes: Option<u64>,
    /// `landlock` with its version, or `none`.
    pub isolation: String,
}

/// Executes steps.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Its name in records: `local`.
    fn name(&self) -> &'static str;

    /// Resolves an environment to its lock and digest; quick when it was resolved before.
    /// `program` is the first word of the command.
    async fn resolve(&self, spec: &EnvironmentSpec, program: &str) -> Result<Environment>;

    /// Installs a resolved environment, once.
    async fn prepare(&self, spec: &EnvironmentSpec, environment: &Environment) -> Result<Environment>;

    /// Runs the command to its end. Dropping the future kills the whole process tree.
    async fn run(&self, command: Command) -> Result<Outcome>;
}
