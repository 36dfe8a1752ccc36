//! Runs jobs as child processes on this machine.

mod job;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{
    Adoption, Environment, EnvironmentSpec, JobEnd, JobIsolation, JobNetwork, JobSpec, JobWatch, PathAccess, Runner,
};
use perennial_worker::{ControlGroups, Limits, Network, Processes, Program, Requirement, Sandbox, kernel_isolates};
use tokio::process::Child;
use tokio::task::JoinSet;

use crate::environment::Environments;
use crate::error::{Error, Result};
use crate::launch::{LAUNCH_ARGUMENT, LaunchSpec};
use crate::program::{self, DEFAULT_PATH};
use crate::records::{JobRecord, Records, TOKEN_VARIABLE};
use job::LocalJob;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// The users of jobs: the first one, and how many there are.
const USERS_FIRST: u32 = 1_000_000_000;
const USERS: u32 = 1_000_000_000;

/// The name of the user of a job, which programs expect; the machine has no name for its number.
const USER_NAME: &str = "perennial";

/// Size limit of a job's log, bytes.
const LOG_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where a local runner finds and keeps its files.
#[derive(Debug, Clone, Copy)]
pub struct LocalPaths<'a> {
    /// The binary that is called with [`LAUNCH_ARGUMENT`].
    pub launcher: &'a Path,
    /// Folder of the records of jobs, the runner's own.
    pub jobs: &'a Path,
    /// Folder of locks and environments, which several runners may share.
    pub cache: &'a Path,
    /// Folders of the programs that environments are created with, as in the variable `PATH`.
    pub programs: &'a str,
}

/// Runs jobs as child processes, each under its own launcher.
///
/// Jobs end with the server: a launcher ends its job when the runner is dropped or the server's process dies.
/// [`adopt`](Runner::adopt) kills what is left of them.
pub struct LocalRunner {
    launcher: PathBuf,
    grace: Duration,
    log_max_bytes: u64,
    requirement: Requirement,
    control_groups: Option<ControlGroups>,
    environments: Environments,
    records: Records,
    jobs: Mutex<HashMap<RunnerJobId, Arc<LocalJob>>>,
    /// One task per job, which holds the launcher's standard input; dropping the runner ends all.
    supervisors: Mutex<JoinSet<()>>,
}

impl LocalRunner {
    /// Creates a runner.
    pub fn new(paths: LocalPaths<'_>) -> Self {
        Self {
            launcher: paths.launcher.to_owned(),
            grace: GRACE,
            log_max_bytes: LOG_MAX_BYTES,
            requirement: Requirement::Isolated,
            control_groups: None,
            environments: Environments::new(paths.cache, paths.programs, paths.launcher),
            records: Records::new(paths.jobs),
            jobs: Mutex::default(),
            supervisors: Mutex::default(),
        }
    }

    /// Sets the time between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the size limit of a job's log, bytes.
    #[must_use]
    pub fn log_max_bytes(mut self, log_max_bytes: u64) -> Self {
        self.log_max_bytes = log_max_bytes;
        self
    }

    /// Whether jobs run on a kernel that cannot isolate them; otherwise they are refused there.
    #[must_use]
    pub fn may_run_unisolated(mut self, may: bool) -> Self {
        self.requirement = Requirement::of(may);
        self.environments.require(self.requirement);
        self
    }

    /// Whether packages that their requirements name as source packages are built.
    #[must_use]
    pub fn may_build_packages(mut self, may: bool) -> Self {
        self.environments.may_build_packages(may);
        self
    }

    /// Limits the memory of jobs by control groups, too.
    #[must_use]
    pub fn control_groups(mut self, groups: Option<ControlGroups>) -> Self {
        self.environments.control_groups(groups.clone());
        self.control_groups = groups;
        self
    }

    fn launch_spec(&self, job: JobSpec) -> Result<LaunchSpec> {
        let Some(name) = job.argv.first() else {
            return Err(Error::NoCommand);
        };
        // The launcher's working directory may differ, so the path must be absolute.
        let folder = job.folder.canonicalize().map_err(|_| Error::NoFolder(job.folder.clone()))?;
        let temporary = self.records.temporary_path(job.id);
        let mut env: HashMap<String, String> =
            job.env.iter().map(|(name, value)| (name.clone(), value.resolve(&folder))).collect();
        let path = env.entry("PATH".to_owned()).or_insert_with(|| search_path(&job.environment.path));
        let program = program::find(name, path, &folder)?;
        for name in ["HOME", "TMPDIR"] {
            env.entry(name.to_owned()).or_insert_with(|| temporary.to_string_lossy().into_owned());
        }
        for name in ["LOGNAME", "USER"] {
            env.entry(name.to_owned()).or_insert_with(|| USER_NAME.to_owned());
        }
        env.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        if self.requirement == Requirement::Isolated && !kernel_isolates() {
            return Err(Error::NotIsolated);
        }
        let mut sandbox = self.sandbox(&job, &folder)?;
        sandbox.readable.push(program.clone());
        sandbox.writable.push(temporary.clone());
        sandbox.temporary = Some(temporary.clone());
        let environment = env.into_iter().collect();
        Ok(LaunchSpec {
            program: Program { file: program, argv: job.argv, folder, environment, sandbox },
            temporary,
            limits: job.limits,
            control_groups: self.control_groups.clone(),
            grace: self.grace,
            log: job.log,
            log_max_bytes: self.log_max_bytes,
            end: self.records.end_path(job.id),
        })
    }

    /// What the job may access and use. Its memory is limited as that of a process tree, by the launcher.
    fn sandbox(&self, job: &JobSpec, folder: &Path) -> Result<Sandbox> {
        let network = match &job.network {
            JobNetwork::Full => Network::Full,
            JobNetwork::Server(url) => Network::Server(address_of(url).ok_or_else(|| Error::NoAddress(url.clone()))?),
            JobNetwork::None => Network::None,
        };
        Ok(Sandbox {
            readable: match job.isolation {
                JobIsolation::Full => job.environment.readable.clone(),
                JobIsolation::ReadAll => vec![PathBuf::from("/")],
            },
            writable: vec![folder.to_owned()],
            temporary: None,
            user: Some(user_of(job.id)),
            network,
            processes: Processes::Allowed,
            limits: Limits { processors: job.limits.cpus, ..Limits::default() },
            control_group: None,
            requirement: self.requirement,
        })
    }

    /// Starts the launcher of a new job and records its process.
    fn launch(&self, id: RunnerJobId) -> Result<Child> {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let launcher = tokio::process::Command::new(&self.launcher)
            .arg(LAUNCH_ARGUMENT)
            .env_clear()
            .env(TOKEN_VARIABLE, &token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io(&self.launcher))?;
        let pid = launcher.id().ok_or_else(|| Error::Launcher("it ended at once".to_owned()))?;
        // Until it has the specification, the launcher does nothing and ends with this process.
        self.records.put(id, &JobRecord::of(pid, token)?)?;
        Ok(launcher)
    }

    fn start(&self, id: RunnerJobId, spec: &LaunchSpec) -> Result<()> {
        let launcher = self.launch(id)?;
        let job = Arc::new(LocalJob::default());
        let supervise = job::supervise(
            job.clone(),
            launcher,
            serde_json::to_vec(spec).map_err(|error| Error::Launcher(error.to_string()))?,
        );
        self.jobs().insert(id, job);
        let mut supervisors = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        while supervisors.try_join_next().is_some() {}
        supervisors.spawn(supervise);
        Ok(())
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<RunnerJobId, Arc<LocalJob>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: RunnerJobId) -> Option<Arc<LocalJob>> {
        self.jobs().get(&id).cloned()
    }

    /// A job that this runner did not submit, from its record.
    fn recorded(&self, id: RunnerJobId) -> Result<Option<JobEnd>> {
        if self.records.exists(id) { Ok(self.records.end(id)) } else { Err(Error::NoJob(id)) }
    }
}

/// The user of a job, where the server can give it one: a number far from those of persons, with the random part of its id.
fn user_of(job: RunnerJobId) -> u32 {
    USERS_FIRST + (job.uuid().as_u128() as u32) % USERS
}

/// The address of a server by its URL.
fn address_of(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.parse().ok()
}

/// The folders of programs: the environment's, then the system's.
fn search_path(environment: &[PathBuf]) -> String {
    let folders: Vec<String> = environment.iter().map(|folder| folder.display().to_string()).collect();
    folders.iter().map(String::as_str).chain([DEFAULT_PATH]).collect::<Vec<_>>().join(":")
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

    fn needs_stored_inputs(&self) -> bool {
        false
    }

    async fn submit(&self, job: JobSpec) -> perennial_core::Result<()> {
        let id = job.id;
        let spec = self.launch_spec(job)?;
        if self.records.create(id)? {
            let started = self.start(id, &spec);
            if started.is_err() {
                // The job never existed; the error of the start is the one to report.
                let _ = self.records.remove(id);
            }
            started?;
        }
        Ok(())
    }

    async fn watch(&self, id: RunnerJobId) -> perennial_core::Result<Box<dyn JobWatch>> {
        if let Some(job) = self.find(id) {
            return Ok(Box::new(job.watch()));
        }
        let end = self.recorded(id)?.unwrap_or(JobEnd::EndedWithServer);
        Ok(Box::new(LocalJob::ended(end).watch()))
    }

    async fn cancel(&self, id: RunnerJobId) -> perennial_core::Result<()> {
        match self.find(id) {
            Some(job) => job.cancel(),
            None => {
                self.recorded(id)?;
            }
        }
        Ok(())
    }

    async fn adopt(&self, id: RunnerJobId) -> perennial_core::Result<Adoption> {
        if let Some(job) = self.find(id) {
            return Ok(job.end().map_or(Adoption::Running, Adoption::Ended));
        }
        if let Some(end) = self.recorded(id)? {
            return Ok(Adoption::Ended(end));
        }
        let records = self.records.clone();
        let end = tokio::task::spawn_blocking(move || -> Result<JobEnd> {
            if let Some(record) = records.process(id) {
                record.kill();
            }
            // A launcher that was about to end wrote it meanwhile.
            let end = records.end(id).unwrap_or(JobEnd::EndedWithServer);
            records.put_end(id, &end)?;
            Ok(end)
        });
        Ok(Adoption::Ended(end.await.map_err(Error::Worker)??))
    }

    async fn forget(&self, id: RunnerJobId) -> perennial_core::Result<()> {
        let is_running = self.find(id).is_some_and(|job| job.end().is_none());
        if is_running {
            return Err(Error::Running(id).into());
        }
        self.jobs().remove(&id);
        Ok(self.records.remove(id)?)
    }

    fn access(&self, job: &JobSpec, path: &Path) -> PathAccess {
        self.sandbox(job, &job.folder).map_or(PathAccess::Denied, |sandbox| sandbox.access(path))
    }
}
