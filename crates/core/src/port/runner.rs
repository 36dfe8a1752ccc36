//! Runners: where a step's command executes.
//!
//! ```text
//! submit ─▶ queued ─▶ started ─▶ ended        watch: events up to the end
//!              └──────────┴─▶ cancel ─▶ ended  adopt: the same after a restart of the server
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::blob::BlobDigest;
use crate::error::{Error, ErrorCode, Result};
use crate::id::RunnerJobId;
use crate::name::StepName;
use crate::path::RelativePath;

/// Limits of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time.
    pub time: Option<Duration>,
    /// Resident memory of the process tree, bytes.
    pub memory_bytes: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
}

/// A command to execute, with everything it needs.
///
/// The command runs in a working folder. On the server this is [`folder`](Self::folder), which has the inputs and
/// receives the outputs; a runner on other machines brings the inputs there by digest and the outputs back.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Its id, chosen by the caller: submitting the same id again does not start a second job.
    pub id: RunnerJobId,
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// The working folder on the server, readable and writable for the job.
    pub folder: PathBuf,
    /// The files that are in the working folder before the start, by content.
    pub inputs: Vec<JobInput>,
    /// Paths in the working folder at which files or folders are expected after the end.
    pub outputs: Vec<RelativePath>,
    /// The environment variables; the job inherits none. A runner adds `PATH`, `HOME`, `TMPDIR`, `USER`, `LOGNAME` and
    /// `LANG` where they are missing.
    pub env: BTreeMap<String, EnvValue>,
    /// The prepared environment; its programs come first on `PATH`.
    pub environment: Environment,
    /// The paths that the job may access.
    pub isolation: JobIsolation,
    /// The network that the job may use.
    pub network: JobNetwork,
    /// Limits.
    pub limits: Limits,
    /// File on the server that receives standard output and error, line by line, as they are written.
    pub log: PathBuf,
}

/// A file in the working folder of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInput {
    /// Its path.
    pub path: RelativePath,
    /// Its content.
    pub digest: BlobDigest,
    /// Whether it may be executed.
    pub is_executable: bool,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// A text.
    Text(String),
    /// The absolute path of the working folder.
    Folder,
    /// The absolute path of a file or folder in the working folder.
    InFolder(RelativePath),
}

impl EnvValue {
    /// The variable's value for a job that runs in `folder`.
    pub fn resolve(&self, folder: &Path) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Folder => folder.display().to_string(),
            Self::InFolder(path) => folder.join(path).display().to_string(),
        }
    }
}

/// The paths that a job may access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobIsolation {
    /// It writes in its working folder, and reads beside it its environment and the system's programs.
    Full,
    /// It may read every file of the machine.
    ReadAll,
}

/// The network that a job may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobNetwork {
    /// All of it.
    Full,
    /// The server at this URL, `http://HOST:PORT`.
    Server(String),
    /// None.
    None,
}

/// The refusal of a step that declares `isolation = "none"`, on a server whose administrator does not allow it.
pub fn isolation_required(step: &StepName) -> Error {
    let message = format!("step `{step}` declares `isolation = \"none\"`, which this server does not allow");
    Error::new(ErrorCode::PermissionDenied, message).with_hint(
        "remove `isolation` from the step, or let the administrator start the server with \
         `perennial up --allow-unisolated-steps`",
    )
}

/// The access that an isolated job has to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathAccess {
    /// None.
    Denied,
    /// Reading and executing.
    Read,
    /// Writing, too.
    Write,
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

/// How a command ended.
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
    /// Stopped because it was cancelled.
    Cancelled,
}

/// How a command ended and what it used.
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

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// Its command ran and ended.
    Exited(Outcome),
    /// Its command could not start, for this reason.
    NotStarted(String),
    /// It ended with the server that submitted it, at an unknown point.
    EndedWithServer,
}

impl JobEnd {
    /// The outcome of the command; an error when it did not run to an end.
    pub fn outcome(self) -> Result<Outcome> {
        match self {
            Self::Exited(outcome) => Ok(outcome),
            Self::NotStarted(reason) => {
                Err(Error::new(ErrorCode::StepFailed, format!("the command could not start: {reason}"))
                    .with_hint("check that the program is built for this machine and may be executed"))
            }
            Self::EndedWithServer => {
                Err(Error::new(ErrorCode::NotReady, "the job ended with the server that ran it")
                    .with_hint("run it again"))
            }
        }
    }
}

/// A change of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerJobEvent {
    /// The command has started.
    Started,
    /// The job has ended: its last event.
    Ended(JobEnd),
}

/// The events of one job.
#[async_trait]
pub trait JobWatch: Send {
    /// Waits for the next event; `None` after [`RunnerJobEvent::Ended`]. Dropping the future loses no event.
    async fn next(&mut self) -> Result<Option<RunnerJobEvent>>;
}

/// The state of a job after a restart of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It runs on: watch it.
    Running,
    /// It has ended.
    Ended(JobEnd),
}

/// Executes commands as jobs.
///
/// A job belongs to its runner, not to the caller: it runs on when no one watches it. What the runner knows of a job
/// survives a restart of the server until the job is forgotten.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Its name in records: `local`.
    fn name(&self) -> &'static str;

    /// Resolves an environment to its lock and digest; fast when it was resolved before.
    /// `program` is the first word of the command.
    async fn resolve(&self, spec: &EnvironmentSpec, program: &str) -> Result<Environment>;

    /// Installs a resolved environment, once.
    async fn prepare(&self, spec: &EnvironmentSpec, environment: &Environment) -> Result<Environment>;

    /// Whether the blobs of all inputs must be stored before a job is submitted. A runner that reads the working folder
    /// on the server does not need them.
    fn needs_stored_inputs(&self) -> bool;

    /// Starts a job, or queues it. A job of the same id that was submitted before is left as it is.
    async fn submit(&self, job: JobSpec) -> Result<()>;

    /// The events of a job, from its start. Many callers may watch a job, during and after its run; dropping a watch does
    /// not affect the job. Fails with NotFound for an unknown job.
    async fn watch(&self, id: RunnerJobId) -> Result<Box<dyn JobWatch>>;

    /// Requests the end of a job, which [`watch`](Self::watch) then reports as cancelled. A job that has ended stays as it
    /// is. Fails with NotFound for an unknown job.
    async fn cancel(&self, id: RunnerJobId) -> Result<()>;

    /// Takes over a job that was submitted before a restart of the server: afterwards it either runs and can be watched,
    /// or no process of it is left. Fails with NotFound for an unknown job.
    async fn adopt(&self, id: RunnerJobId) -> Result<Adoption>;

    /// Removes what is stored of a job that has ended. Forgetting an unknown job succeeds.
    async fn forget(&self, id: RunnerJobId) -> Result<()>;

    /// The access to `path` that the isolation of `job` gives, to explain a denied access. It does not depend on the
    /// permissions of the file.
    fn access(&self, job: &JobSpec, path: &Path) -> PathAccess;
}

/// Submits a job, waits for its end and forgets it. A job whose future is dropped runs on.
pub async fn run_to_end(runner: &dyn Runner, job: JobSpec) -> Result<JobEnd> {
    let id = job.id;
    runner.submit(job).await?;
    let mut watch = runner.watch(id).await?;
    while let Some(event) = watch.next().await? {
        if let RunnerJobEvent::Ended(end) = event {
            runner.forget(id).await?;
            return Ok(end);
        }
    }
    Err(Error::new(ErrorCode::Internal, format!("job `{id}` has no end")))
}
