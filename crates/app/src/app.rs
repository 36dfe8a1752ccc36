//! What every use case works with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use perennial_artifacts::Blobs;
use perennial_config::TrainerSpec;
use perennial_core::clock::{Clock, Instant};
use perennial_core::id::{PrincipalId, ProjectId, ServerId};
use perennial_core::ledger::{Chain, Record};
use perennial_core::name::ProjectName;
use perennial_core::permission::{Permission, Principal, Role};
use perennial_core::port::data::DataEngine;
use perennial_core::port::model::ModelRuntime;
use perennial_core::port::prediction::PredictionLog;
use perennial_core::port::runner::Runner;
use perennial_core::port::training::Trainer;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{Store, Tx, projects};
use tokio::sync::Semaphore;

use crate::lease::Lease;
use crate::live::Live;
use crate::pipelines::Carried;
use crate::project::ProjectState;
use crate::supervise::Supervisor;

/// Steps that run at the same time.
pub(crate) const STEPS_MAX: usize = 2;

/// Brief pieces of work, such as the loading of a model, at the same time.
const BRIEF_MAX: usize = 4;

/// What the binary links into the use cases.
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
    /// Names and parameters of the built-in trainers, for judging project files.
    pub trainers: &'static [TrainerSpec],
    /// Loads models.
    pub models: Arc<dyn ModelRuntime>,
    /// The prediction log.
    pub predictions: Arc<dyn PredictionLog>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The host's own folder, whose project file it submits: the project's, on an embedded host.
    pub root: PathBuf,
    /// Folders of the projects that clients sent, one a project.
    pub sent: PathBuf,
    /// Scratch space on the same disk as the blobs.
    pub work: PathBuf,
    /// Version of the binary; part of cache keys.
    pub version: &'static str,
    /// Whether project clocks may be stepped: not on a team's server.
    pub may_step_clock: bool,
}

/// The use cases' world: services, and what is kept in memory.
pub struct App {
    /// What the binary linked in.
    pub services: Services,
    /// This server's id.
    pub server: ServerId,
    /// Pipeline runs and changes that go on after their request was answered.
    pub work: Supervisor,
    /// Whether this server may answer and act.
    pub lease: Lease,
    /// Who answers at each endpoint.
    pub live: Live,
    /// Bounds CPU-heavy work: a permit for each that is under way.
    pub compute: Arc<Semaphore>,
    /// Bounds brief work on threads of its own, which does not wait for a training.
    brief: Arc<Semaphore>,
    /// Where this server answers, as steps reach it: `http://127.0.0.1:<port>`.
    pub address: std::sync::OnceLock<String>,
    /// Wakes followers of pipeline runs whenever something was told.
    pub told: tokio::sync::Notify,
    /// The pipeline runs that are carried out or wait for their turn here.
    pub(crate) carried: Carried,
    projects: RwLock<HashMap<ProjectId, Arc<ProjectState>>>,
}

impl App {
    /// A world over `services`.
    pub fn new(services: Services) -> Arc<Self> {
        Arc::new(Self {
            services,
            server: ServerId::generate(),
            work: Supervisor::new(),
            lease: Lease::default(),
            live: Live::default(),
            compute: Arc::new(Semaphore::new(STEPS_MAX)),
            brief: Arc::new(Semaphore::new(BRIEF_MAX)),
            address: std::sync::OnceLock::new(),
            told: tokio::sync::Notify::new(),
            carried: Carried::default(),
            projects: RwLock::default(),
        })
    }

    /// The metadata.
    pub fn store(&self) -> &Store {
        &self.services.store
    }

    /// Reads a row of the metadata, to tell whether that can be done.
    pub async fn try_metadata(&self) -> Result<()> {
        perennial_store::ledger::head(&mut *self.store().read().await?, Chain::Server).await?;
        Ok(())
    }

    /// The data engine.
    pub fn data(&self) -> &dyn DataEngine {
        &*self.services.data
    }

    /// Both clocks, as `project` reads them.
    pub fn now(&self, project: &ProjectState) -> Instant {
        let wall_ms = self.services.clock.wall_ms();
        Instant { wall_ms, project_ms: project.stepped_ms().unwrap_or(wall_ms) }
    }

    /// The state of a project, read from the store when it is not in memory yet.
    pub async fn project(self: &Arc<Self>, id: ProjectId) -> Result<Arc<ProjectState>> {
        if let Some(state) = self.projects.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(state.clone());
        }
        let state = Arc::new(ProjectState::open(self, id).await?);
        let mut projects = self.projects.write().unwrap_or_else(PoisonError::into_inner);
        Ok(projects.entry(id).or_insert(state).clone())
    }

    /// The state of the project called `name`.
    pub async fn project_named(self: &Arc<Self>, name: &ProjectName) -> Result<Arc<ProjectState>> {
        let found = projects::find_by_name(&mut *self.store().read().await?, name).await?;
        match found {
            Some(project) => self.project(project.id).await,
            None => {
                Err(Error::not_found("project", name).hint("`perennial run` in the project's folder makes it known"))
            }
        }
    }

    /// Runs heavy work on a thread of its own, beside as many others as steps run at the same time.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        on_a_thread(self.compute.clone(), work).await
    }

    /// Runs work of seconds at most on a thread of its own; it never waits for heavy work.
    pub(crate) async fn brief<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        on_a_thread(self.brief.clone(), work).await
    }
}

async fn on_a_thread<T: Send + 'static>(
    bound: Arc<Semaphore>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let permit = bound.acquire_owned().await.map_err(|closed| Error::internal("the server is stopping", closed))?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|panic| Error::internal("a computation ended abruptly", panic))?
}

/// Who calls, and where.
#[derive(Clone)]
pub struct Caller {
    /// The world.
    pub app: Arc<App>,
    /// Who.
    pub principal: Principal,
    /// What they call from: a pipeline run, a trigger; for causes in records.
    pub cause: Option<String>,
}

impl Caller {
    /// Somebody who calls.
    pub fn new(app: Arc<App>, principal: Principal) -> Self {
        Self { app, principal, cause: None }
    }

    /// The server itself, acting on clocks and triggers.
    pub fn system(app: Arc<App>, cause: impl Into<String>) -> Self {
        let principal = Principal {
            id: PrincipalId::from(uuid::Uuid::nil()),
            name: "perennial".to_owned(),
            grants: vec![(None, Role::Admin)],
            run: None,
        };
        Self { app, principal, cause: Some(cause.into()) }
    }

    /// Refuses when `permission` is not granted on the project.
    pub fn require(&self, permission: Permission, project: &ProjectState) -> Result<()> {
        self.principal.require(permission, Some(project.id))
    }
}

/// An entry about a change, to be appended as the last write of its transaction.
pub(crate) struct Entry<'a> {
    pub project: ProjectId,
    pub noun: &'a str,
    pub subject: String,
    pub verb: &'a str,
    pub actor: &'a str,
    pub cause: Option<&'a str>,
    pub at: Instant,
    pub payload: serde_json::Value,
}

/// Appends entries to the project's chain; nothing else may be written in the transaction afterwards.
pub(crate) async fn record(tx: &mut Tx, entry: Entry<'_>) -> Result<()> {
    let record = Record {
        chain: Chain::Project(entry.project),
        noun: entry.noun.to_owned(),
        subject: entry.subject,
        verb: entry.verb.to_owned(),
        actor: entry.actor.to_owned(),
        wall_ms: entry.at.wall_ms,
        project_ms: entry.at.project_ms,
        cause: entry.cause.map(str::to_owned),
        payload: entry.payload.to_string(),
    };
    tx.ledger_append(record).await?;
    Ok(())
}

/// An error for what a state does not allow.
pub(crate) fn wrong_state(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::WrongState, message)
}

/// The first of some names in words, and how many `more` there are.
pub(crate) fn first_few(names: &[&str], at_most: usize, more: &str) -> String {
    let named: Vec<String> = names.iter().take(at_most).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(at_most) {
        0 => named.join(", "),
        left => format!("{} and {left} more{more}", named.join(", ")),
    }
}
