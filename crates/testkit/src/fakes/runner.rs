//! A runner in memory.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{
    Adoption, Environment, EnvironmentSpec, Exit, JobEnd, JobIsolation, JobSpec, JobWatch, Outcome, PathAccess, Runner,
    RunnerJobEvent,
};
use perennial_core::{Error, ErrorCode, Result};
use tokio::sync::watch;

/// The jobs of a cluster, which run on while a server restarts.
#[derive(Default)]
pub struct FakeCluster {
    jobs: Mutex<HashMap<RunnerJobId, Job>>,
}

/// Started by its submission; the value is its end.
type Job = watch::Sender<Option<JobEnd>>;

/// A runner whose jobs start no process. Each word of a command is one instruction:
///
/// - `print:TEXT` prints a line,
/// - `env:NAME` prints the value of a variable,
/// - `cat:PATH` prints a file in the working folder,
/// - `read:NAME` prints the file whose path a variable has,
/// - `write:PATH:TEXT` writes a file in the working folder,
/// - `copy:FROM:TO` copies a file in the working folder,
/// - `exit:STATUS` exits, `signal:NUMBER` is killed,
/// - `time-limit` and `memory-limit` are stopped at a limit,
/// - `wait` runs until the job is cancelled,
/// - `machine` does nothing; as the first word, the environment is not reproducible.
#[derive(Clone, Default)]
pub struct FakeRunner {
    cluster: Arc<FakeCluster>,
}

impl FakeRunner {
    /// A runner of a server that connects to a cluster.
    pub fn connect(cluster: Arc<FakeCluster>) -> Self {
        Self { cluster }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<RunnerJobId, Job>> {
        self.cluster.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: RunnerJobId) -> Result<Job> {
        self.jobs().get(&id).cloned().ok_or_else(|| Error::not_found("job", id))
    }
}

/// Follows the instructions; `None` for a job that runs until it is cancelled.
fn execute(job: &JobSpec) -> std::io::Result<Option<Exit>> {
    let mut log = String::new();
    let mut end = Some(Exit::Code(0));
    for word in &job.argv {
        match word.split_once(':').unwrap_or((word, "")) {
            ("print", text) => log = format!("{log}{text}\n"),
            ("env", name) => log = format!("{log}{}\n", variable(job, name)),
            ("cat", path) => log = format!("{log}{}\n", fs::read_to_string(job.folder.join(path))?),
            ("read", name) => log = format!("{log}{}\n", fs::read_to_string(variable(job, name))?),
            ("write", file) => {
                let (path, text) = file.split_once(':').unwrap_or((file, ""));
                let path = job.folder.join(path);
                fs::create_dir_all(path.parent().unwrap_or(&job.folder))?;
                fs::write(path, text)?;
            }
            ("copy", paths) => {
                let (from, to) = paths.split_once(':').unwrap_or((paths, ""));
                let to = job.folder.join(to);
                fs::create_dir_all(to.parent().unwrap_or(&job.folder))?;
                fs::copy(job.folder.join(from), to)?;
            }
            ("exit", status) => end = Some(Exit::Code(status.parse().unwrap_or(127))),
            ("signal", number) => end = Some(Exit::Signal(number.parse().unwrap_or(9))),
            ("time-limit", _) => end = Some(Exit::TimeLimit),
            ("memory-limit", _) => end = Some(Exit::MemoryLimit),
            ("wait", _) => end = None,
            ("machine", _) => {}
            _ => return Err(std::io::Error::other(format!("`{word}` is not an instruction"))),
        }
    }
    fs::write(&job.log, log)?;
    Ok(end)
}

/// The value of a variable; empty when the job does not have it.
fn variable(job: &JobSpec, name: &str) -> String {
    job.env.get(name).map(|value| value.resolve(&job.folder)).unwrap_or_default()
}

fn exited(exit: Exit) -> JobEnd {
    JobEnd::Exited(Outcome { exit, wall_ms: 1, peak_memory_bytes: None, isolation: "fake".to_owned() })
}

#[async_trait]
impl Runner for FakeRunner {
    fn name(&self) -> &'static str {
        "fake"
    }

    /// Requirements are their own lock and digest.
    async fn resolve(&self, spec: &EnvironmentSpec, program: &str) -> Result<Environment> {
        let lock = match spec {
            EnvironmentSpec::System => None,
            EnvironmentSpec::Uv { requirements } => Some(requirements.clone()),
        };
        let digest = lock.as_deref().map_or("none", str::trim).to_owned();
        let (path, readable) = (Vec::new(), Vec::new());
        Ok(Environment { digest, lock, path, readable, reproducible: program != "machine" })
    }

    async fn prepare(&self, _: &EnvironmentSpec, environment: &Environment) -> Result<Environment> {
        Ok(environment.clone())
    }

    fn needs_stored_inputs(&self) -> bool {
        true
    }

    async fn submit(&self, job: JobSpec) -> Result<()> {
        if self.jobs().contains_key(&job.id) {
            return Ok(());
        }
        let end = match execute(&job) {
            Ok(exit) => exit.map(exited),
            Err(error) => Some(JobEnd::NotStarted(error.to_string())),
        };
        self.jobs().insert(job.id, watch::Sender::new(end));
        Ok(())
    }

    async fn watch(&self, id: RunnerJobId) -> Result<Box<dyn JobWatch>> {
        let end = self.find(id)?.subscribe();
        Ok(Box::new(FakeWatch { end, reported: 0 }))
    }

    async fn cancel(&self, id: RunnerJobId) -> Result<()> {
        self.find(id)?.send_if_modified(|end| {
            let is_running = end.is_none();
            end.get_or_insert_with(|| exited(Exit::Cancelled));
            is_running
        });
        Ok(())
    }

    async fn adopt(&self, id: RunnerJobId) -> Result<Adoption> {
        let end = self.find(id)?.borrow().clone();
        Ok(end.map_or(Adoption::Running, Adoption::Ended))
    }

    async fn forget(&self, id: RunnerJobId) -> Result<()> {
        let mut jobs = self.jobs();
        if jobs.get(&id).is_some_and(|job| job.borrow().is_none()) {
            return Err(Error::new(ErrorCode::WrongState, format!("job `{id}` is still running")));
        }
        jobs.remove(&id);
        Ok(())
    }

    fn access(&self, job: &JobSpec, path: &Path) -> PathAccess {
        if path.starts_with(&job.folder) {
            return PathAccess::Write;
        }
        let is_readable = job.isolation == JobIsolation::ReadAll
            || job.environment.readable.iter().any(|readable| path.starts_with(readable));
        if is_readable { PathAccess::Read } else { PathAccess::Denied }
    }
}

/// The events of a job.
struct FakeWatch {
    end: watch::Receiver<Option<JobEnd>>,
    reported: usize,
}

#[async_trait]
impl JobWatch for FakeWatch {
    async fn next(&mut self) -> Result<Option<RunnerJobEvent>> {
        let is_unstarted = matches!(*self.end.borrow(), Some(JobEnd::NotStarted(_)));
        if self.reported == 0 && !is_unstarted {
            self.reported = 1;
            return Ok(Some(RunnerJobEvent::Started));
        }
        if self.reported == 2 {
            return Ok(None);
        }
        let end = self.end.wait_for(Option::is_some).await;
        let end = end.ok().and_then(|end| end.clone()).unwrap_or(JobEnd::EndedWithServer);
        self.reported = 2;
        Ok(Some(RunnerJobEvent::Ended(end)))
    }
}
