//! Runs steps as child processes on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use perennial_core::port::runner::{Command, Environment, EnvironmentSpec, Outcome, Runner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::environment::Environments;
use crate::error::{Error, Result};
use crate::launch::{LAUNCH_ARGUMENT, LaunchReport, LaunchSpec};
use crate::program::{self, DEFAULT_PATH};

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Size limit of a step's log, bytes.
const LOG_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Size limit of the launcher's report, bytes.
const REPORT_MAX_BYTES: u64 = 64 * 1024;

/// Runs steps as child processes, each under its own launcher.
///
/// A command that sets no `PATH`, `HOME`, `TMPDIR` or `LANG` gets defaults: the system's folders of programs, and
/// a temporary folder that is removed after the step.
pub struct LocalRunner {
    launcher: PathBuf,
    temporary: PathBuf,
    grace: Duration,
    log_max_bytes: u64,
    environments: Arc<Environments>,
}

impl LocalRunner {
    /// Creates a runner. `launcher` is the binary to call with [`LAUNCH_ARGUMENT`]; `cache` is the folder of locks
    /// and environments, which are created with the programs on `path` (folders as in the variable `PATH`).
    pub fn new(launcher: &Path, cache: &Path, path: &str) -> Self {
        Self {
            launcher: launcher.to_owned(),
            temporary: std::env::temp_dir(),
            grace: GRACE,
            log_max_bytes: LOG_MAX_BYTES,
            environments: Arc::new(Environments::new(cache, path)),
        }
    }

    /// Sets the time between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the size limit of a step's log, bytes.
    #[must_use]
    pub fn log_max_bytes(mut self, log_max_bytes: u64) -> Self {
        self.log_max_bytes = log_max_bytes;
        self
    }

    fn launch_spec(&self, command: Command) -> Result<LaunchSpec> {
        let Command { argv, folder, mut env, readable, limits, log } = command;
        let Some(name) = argv.first() else {
            return Err(Error::NoCommand);
        };
        // The launcher's working directory may differ, so the path must be absolute.
        let folder = folder.canonicalize().map_err(|_| Error::NoFolder(folder))?;
        let path = env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        let program = program::find(name, path, &folder)?;
        let temporary = self.temporary.join(format!("perennial-step-{}", uuid::Uuid::now_v7().simple()));
        let temporary_text = temporary.to_string_lossy();
        for name in ["HOME", "TMPDIR"] {
            env.entry(name.to_owned()).or_insert_with(|| temporary_text.clone().into_owned());
        }
        env.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        Ok(LaunchSpec {
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
        let spec = self.launch_spec(command)?;
        let failed = |error: std::io::Error| Error::Launcher(error.to_string());
        let mut line = serde_json::to_vec(&spec).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut launcher = tokio::process::Command::new(&self.launcher)
            .arg(LAUNCH_ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io(&self.launcher))?;
        // The launcher ends the step when its standard input closes: when this future is dropped or this process
        // dies.
        let mut stdin_guard = launcher.stdin.take();
        let mut report = Vec::new();
        if let Some(stdin) = stdin_guard.as_mut() {
            stdin.write_all(&line).await.map_err(failed)?;
            stdin.flush().await.map_err(failed)?;
        }
        if let Some(stdout) = launcher.stdout.take() {
            stdout.take(REPORT_MAX_BYTES).read_to_end(&mut report).await.map_err(failed)?;
        }
        drop(stdin_guard);
        let status = launcher.wait().await.map_err(failed)?;
        match serde_json::from_slice(&report) {
            Ok(LaunchReport::Ended(outcome)) => Ok(outcome),
            Ok(LaunchReport::Failed(reason)) => Err(Error::Start(reason)),
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
