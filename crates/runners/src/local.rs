//! Steps as child processes of this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use perennial_core::port::runner::{Command, Environment, EnvironmentSpec, Outcome, Runner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::environment::Environments;
use crate::error::{Error, Result};
use crate::launch::{Answer, LAUNCH_ARGUMENT, Order};
use crate::program::{self, DEFAULT_PATH};

/// Between the request to end and the kill.
const GRACE: Duration = Duration::from_secs(5);

/// A step's log holds this much, bytes; what is beyond is dropped, and that is said.
const LOG_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// An answer of the launcher is one short line, bytes.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// Runs steps as child processes, each under a launcher of its own.
///
/// Beside the command's own variables a step gets `PATH`, `HOME`, `TMPDIR` and `LANG` where it has
/// none: programs where systems keep them, and a folder that is removed after it.
pub struct LocalRunner {
    launcher: PathBuf,
    temporary: PathBuf,
    grace: Duration,
    log_max_bytes: u64,
    environments: Arc<Environments>,
}

impl LocalRunner {
    /// A runner whose launcher is the binary at `launcher`, called with [`LAUNCH_ARGUMENT`], that
    /// keeps locks and environments below `cache`, made with programs on `path` (folders as in the
    /// variable `PATH`).
    pub fn new(launcher: &Path, cache: &Path, path: &str) -> Self {
        Self {
            launcher: launcher.to_owned(),
            temporary: std::env::temp_dir(),
            grace: GRACE,
            log_max_bytes: LOG_MAX_BYTES,
            environments: Arc::new(Environments::new(cache, path)),
        }
    }

    /// Sets the time between the request to end and the kill.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets what a log may hold, bytes.
    #[must_use]
    pub fn log_max_bytes(mut self, log_max_bytes: u64) -> Self {
        self.log_max_bytes = log_max_bytes;
        self
    }

    fn order(&self, command: Command) -> Result<Order> {
        let Command { argv, folder, mut env, readable, limits, log } = command;
        let Some(name) = argv.first() else {
            return Err(Error::NoCommand);
        };
        // Landlock and working directory need the folder itself, not a path relative to ours.
        let folder = folder.canonicalize().map_err(|_| Error::NoFolder(folder))?;
        let path = env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        let program = program::find(name, path, &folder)?;
        let temporary = self.temporary.join(format!("perennial-step-{}", uuid::Uuid::now_v7().simple()));
        let place = temporary.to_string_lossy();
        for name in ["HOME", "TMPDIR"] {
            env.entry(name.to_owned()).or_insert_with(|| place.clone().into_owned());
        }
        env.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        Ok(Order {
            program,
            argv,
            folder,
            env,
            readable,
            temporary,
            limits,
            grace: self.grace,
            log,
            log_max_bytes: self.log_max_bytes,
        })
    }

    async fn launch(&self, command: Command) -> Result<Outcome> {
        let order = self.order(command)?;
        let failed = |error: std::io::Error| Error::Launcher(error.to_string());
        let mut line = serde_json::to_vec(&order).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut launcher = tokio::process::Command::new(&self.launcher)
            .arg(LAUNCH_ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io(&self.launcher))?;
        // While this end is open the launcher goes on; when the future is dropped, or this process
        // dies, it closes, and the launcher ends the step.
        let mut lifeline = launcher.stdin.take();
        let mut told = Vec::new();
        if let Some(stdin) = lifeline.as_mut() {
            stdin.write_all(&line).await.map_err(failed)?;
            stdin.flush().await.map_err(failed)?;
        }
        if let Some(stdout) = launcher.stdout.take() {
            stdout.take(ANSWER_MAX_BYTES).read_to_end(&mut told).await.map_err(failed)?;
        }
        drop(lifeline);
        let status = launcher.wait().await.map_err(failed)?;
        match serde_json::from_slice(&told) {
            Ok(Answer::Ended(outcome)) => Ok(outcome),
            Ok(Answer::Failed(why)) => Err(Error::Start(why)),
            Err(_) => Err(Error::Launcher(status.to_string())),
        }
    }
}

#[async_trait]
impl Runner for LocalRunner {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn resolve(&self, spec: &EnvironmentSpec, program: &str) -> perennial_core::Result<Environment> {
        Ok(self.environments.resolve(spec, program).await?)
    }

    async fn prepare(&self, spec: &EnvironmentSpec, environment: &Environment) -> perennial_core::Result<Environment> {
        Ok(self.environments.prepare(spec, environment).await?)
    }

    async fn run(&self, command: Command) -> perennial_core::Result<Outcome> {
        Ok(self.launch(command).await?)
    }
}
