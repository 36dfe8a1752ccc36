//! The services that every slice works with.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use perennial_artifacts::{Blobs, FolderCache};
use perennial_config::TrainerSpec;
use perennial_core::clock::Clock;
use perennial_core::id::{ProjectId, ServerId};
use perennial_core::ledger::Chain;
use perennial_core::object_url::ObjectUrl;
use perennial_core::permission::Permission;
use perennial_core::port::data::DataEngine;
use perennial_core::port::model::ModelRuntime;
use perennial_core::port::prediction::PredictionLog;
use perennial_core::port::runner::Runner;
use perennial_core::port::training::Trainer;
use perennial_core::{Error, Result};
use perennial_store::{Readable, Store, UnreadableRow, projects};
use tokio::sync::Semaphore;

use crate::Caller;
use crate::jobs::Jobs;
use crate::lease::Lease;
use crate::project_clock::ProjectClock;
use crate::project_permits::ProjectPermits;
use crate::supervisor::Supervisor;

/// Steps of a project that compute at the same time.
pub const STEPS_MAX: usize = 2;

/// Steps of all projects that compute at the same time.
const STEPS_TOTAL_MAX: usize = 4;

/// Models that are loaded at the same time.
const LOADS_TOTAL_MAX: usize = 8;

/// Models of one project that are loaded at the same time: by a run, by the scheduler, and by a rollback.
const LOADS_MAX: usize = 3;

/// Short work, such as loading a model, at the same time.
const SHORT_MAX: usize = 4;

/// Where artifacts go unless an experiment says otherwise: through this server.
pub const ARTIFACT_ROOT: &str = "mlflow-artifacts:";

/// The implementations that the server links behind the ports, and its settings.
pub struct Services {
    /// The metadata.
    pub store: Store,
    /// The blobs.
    pub blobs: Blobs,
    /// The data engine.
    pub data: Arc<dyn DataEngine>,
    /// Executes commands.
    pub runner: Arc<dyn Runner>,
    /// The built-in trainers.
    pub trainer: Arc<dyn Trainer>,
    /// Names and parameters of the built-in trainers, to validate project files.
    pub trainers: &'static [TrainerSpec],
    /// Loads models.
    pub models: Arc<dyn ModelRuntime>,
    /// The prediction log.
    pub predictions: Arc<dyn PredictionLog>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The server's own folder, whose project file it submits: the project's folder, on an embedded server.
    pub root: PathBuf,
    /// Folders of uploaded projects, one a project.
    pub uploads: PathBuf,
    /// The prefix of the server's own blobs and tables in an object store; `None` when they are in a local folder.
    pub artifacts: Option<ObjectUrl>,
    /// Scratch space on the same disk as the blobs.
    pub work: PathBuf,
    /// Version of the binary; part of cache keys.
    pub version: &'static str,
    /// Whether project clocks may be stepped; a team server refuses it.
    pub may_step_clock: bool,
    /// Whether a step may run without isolation, because its project file says so or the kernel cannot isolate. The
    /// administrator decides it, with the start of the server.
    pub may_run_unisolated: bool,
}

/// The services, and what every slice shares in memory.
pub struct Kernel {
    /// The implementations behind the ports.
    pub services: Services,
    /// This server's id.
    pub server: ServerId,
    /// Background work: pipeline runs, and changes that finish after their request has gone.
    pub work: Supervisor,
    /// Enqueues durable jobs.
    pub jobs: Jobs,
    /// Folders by content in local files, such as models.
    pub folders: FolderCache,
    /// Whether this server may answer and act.
    pub lease: Lease,
    /// Bounds CPU-heavy work: one permit for each computation under way.
    pub compute: ProjectPermits,
    /// Bounds the loads of models.
    pub(crate) loads: ProjectPermits,
    /// Bounds short work on blocking threads, which never waits for a training.
    short: Arc<Semaphore>,
    /// Where this server answers, as steps reach it: `http://127.0.0.1:<port>`.
    pub address: std::sync::OnceLock<String>,
    /// The URL of this server for people and other machines, once it listens.
    pub public_address: std::sync::OnceLock<String>,
    clocks: RwLock<HashMap<ProjectId, Arc<ProjectClock>>>,
    /// Rows that were set aside because they do not convert; each is logged once.
    set_aside: Mutex<BTreeSet<UnreadableRow>>,
}

impl Kernel {
    /// A kernel over `services`.
    pub fn new(services: Services) -> Arc<Self> {
        Arc::new(Self {
            jobs: Jobs::new(services.clock.clone()),
            folders: FolderCache::new(services.blobs.clone(), &services.work),
            services,
            server: ServerId::generate(),
            work: Supervisor::new(),
            lease: Lease::default(),
            compute: ProjectPermits::new(STEPS_TOTAL_MAX, STEPS_MAX),
            loads: ProjectPermits::new(LOADS_TOTAL_MAX, LOADS_MAX),
            short: Arc::new(Semaphore::new(SHORT_MAX)),
            address: std::sync::OnceLock::new(),
            public_address: std::sync::OnceLock::new(),
            clocks: RwLock::default(),
            set_aside: Mutex::default(),
        })
    }

    /// The metadata.
    pub fn store(&self) -> &Store {
        &self.services.store
    }

    /// The rows of a list that convert. The others are set aside: logged, and listed by `perennial doctor`.
    pub fn readable<T>(&self, found: Readable<T>) -> Vec<T> {
        let mut set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        for row in found.unreadable {
            if !set_aside.contains(&row) {
                let UnreadableRow { table, key, column, why } = &row;
                tracing::error!(table, key, column, why, "a row of the metadata does not convert and is set aside");
                set_aside.insert(row);
            }
        }
        found.rows
    }

    /// The rows of the metadata that do not convert, of the tables that a server reads at its start.
    ///
    /// # Errors
    /// If the caller may not read the whole server, or the metadata cannot be read.
    pub async fn unreadable_rows(caller: &Caller) -> Result<Vec<UnreadableRow>> {
        caller.principal.require(Permission::Read, None)?;
        Ok(perennial_store::unreadable::list(&mut *caller.kernel.store().read().await?).await?)
    }

    /// Reads a row of the metadata over the connection of probes, to find out whether the database answers.
    pub async fn try_metadata(&self) -> Result<()> {
        perennial_store::ledger::head(&mut *self.store().probe().await?, Chain::Server).await?;
        Ok(())
    }

    /// The data engine.
    pub fn data(&self) -> &dyn DataEngine {
        &*self.services.data
    }

    /// The clock of a project, read from the store when it is not in memory yet.
    pub async fn clock_of(&self, id: ProjectId) -> Result<Arc<ProjectClock>> {
        if let Some(clock) = self.clocks.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(clock.clone());
        }
        let stepped_ms = projects::get(&mut *self.store().read().await?, id).await?.clock_ms;
        let clock = Arc::new(ProjectClock::new(self.services.clock.clone(), stepped_ms));
        let mut clocks = self.clocks.write().unwrap_or_else(PoisonError::into_inner);
        Ok(clocks.entry(id).or_insert(clock).clone())
    }

    /// Runs CPU-heavy work of a project on a blocking thread, at most [`STEPS_MAX`] at the same time.
    pub async fn run_blocking_heavy<T: Send + 'static>(
        &self,
        project: ProjectId,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        run_blocking(self.compute.acquire(project).await?, work).await
    }

    /// Runs work of seconds at most on a blocking thread; it never waits for heavy work.
    pub async fn run_blocking_short<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.short.clone().acquire_owned().await;
        run_blocking(permit.map_err(|closed| Error::internal("the server is stopping", closed))?, work).await
    }
}

/// Runs work on a blocking thread, which holds the permit.
async fn run_blocking<T: Send + 'static>(
    permit: impl Send + 'static,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|panic| Error::internal("a computation panicked", panic))?
}
