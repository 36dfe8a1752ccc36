//! A server inside this process.
//!
//! One server at a time serves a data folder. It holds the lock of the folder, and the file `server.json`
//! (mode 0600) contains its address and a token for other commands.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use perennial_core::ErrorCode;
use perennial_core::id::ProjectId;
use perennial_execution::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_execution::pipelines;
use perennial_http::Slices;
use perennial_http::{Options, Perimeter, PlainTcp};
use perennial_ingest::loads;
use perennial_kernel::{Caller, access, lease};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::commands::record_restore;
use crate::output::user_error;
use crate::wiring::{self, ServerPaths};

/// The file in a data folder that describes the server over it.
const SERVER_FILE: &str = "server.json";
/// The time between two passes of the scheduler.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stopping server waits for running work. Work that is not finished then is resumed by the next server.
const WORK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stopping server then waits for open connections.
const CONNECTIONS_TIMEOUT: Duration = Duration::from_secs(30);

/// The content of `server.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    /// `http://127.0.0.1:<port>`.
    pub address: String,
    /// A token with every permission; revoked when the next server starts.
    pub token: String,
    /// The id of the server's process.
    pub pid: u32,
    /// Whether the server keeps running and has a scheduler, as that of `perennial up` does. Otherwise it ends
    /// with its command.
    #[serde(default, alias = "stays")]
    pub is_persistent: bool,
}

impl ServerFile {
    /// Reads the file of a data folder; `None` if it is missing or incomplete.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.join(SERVER_FILE)).ok()?).ok()
    }

    /// Writes the file so that a reader sees the old or the new content, never a part.
    fn write(&self, data: &Path) -> Result<()> {
        let temporary = data.join(format!("{SERVER_FILE}.new"));
        let mut out = File::options().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        out.write_all(&serde_json::to_vec(self)?)?;
        out.sync_all()?;
        Ok(std::fs::rename(&temporary, data.join(SERVER_FILE))?)
    }
}

/// How a server accepts requests.
#[derive(Clone)]
pub(crate) struct ServeOptions {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Whether requests need credentials.
    pub auth: bool,
    /// Additional host names that the server accepts.
    pub hosts: Vec<String>,
    /// See [`ServerFile::is_persistent`].
    pub is_persistent: bool,
}

impl ServeOptions {
    /// For the server of one command: a free loopback port, no scheduler.
    pub(crate) fn embedded() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), auth: true, hosts: Vec::new(), is_persistent: false }
    }
}

/// Which interrupted pipeline runs to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Runs and releases.
    All,
    /// Only runs: a command that may not change what is served leaves releases interrupted.
    RunsOnly,
}

/// A server in this process.
pub(crate) struct EmbeddedServer {
    /// The use cases and their services.
    pub app: Arc<Slices>,
    /// Its URL.
    pub address: String,
    /// A token with every permission.
    pub token: String,
    data: PathBuf,
    /// Pipeline runs that an earlier server did not finish.
    interrupted: Mutex<Vec<PipelineRun>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    scheduler: Option<JoinHandle<()>>,
    lease: JoinHandle<()>,
    _lock: File,
}

/// Acquires the lock of a data folder; `None` if another process holds it.
///
/// # Errors
/// If the folder cannot be created or the lock file cannot be opened.
pub(crate) fn try_lock(data: &Path) -> Result<Option<File>> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot create the data folder {}", data.display()))?;
    let file = File::options().create(true).truncate(false).write(true).open(data.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

impl EmbeddedServer {
    /// Starts a server over a data folder; `None` if another process serves it.
    pub(crate) async fn start(paths: &ServerPaths, options: ServeOptions) -> Result<Option<Self>> {
        let Some(lock) = try_lock(&paths.data)? else { return Ok(None) };
        let app = wiring::open(paths).await?;
        let listener = TcpListener::bind(options.address).await.map_err(|cause| {
            let message = format!("cannot listen on {}: {cause}", options.address);
            user_error(ErrorCode::NotReady, message, "choose another address with `--host` and `--port`")
        })?;
        let address = format!("http://{}", listener.local_addr()?);
        lease::take(&app.kernel, &address).await?;
        let token = access::host_token(&app.kernel).await?.secret;
        // Set only here, once per process: it cannot be set already.
        let _ = app.kernel.address.set(address.clone());
        let interrupted = recover(&app, &paths.data).await?;
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            // The sender lives as long as the server, so this ends only by the value.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let is_persistent = options.is_persistent;
        let serving = serve(&app, options, listener, shutdown);
        let lease = tokio::spawn(lease::keep(app.kernel.clone()));
        let file = ServerFile { address, token, pid: std::process::id(), is_persistent };
        file.write(&paths.data)?;
        Ok(Some(Self {
            app,
            address: file.address,
            token: file.token,
            data: paths.data.clone(),
            interrupted: Mutex::new(interrupted),
            stop,
            serving,
            scheduler: None,
            lease,
            _lock: lock,
        }))
    }

    /// Starts the scheduler.
    pub(crate) fn start_scheduler(&mut self) {
        self.scheduler = Some(tokio::spawn(run_scheduler(self.app.clone())));
    }

    /// How many pipeline runs of an earlier server are still interrupted.
    pub(crate) fn interrupted(&self) -> usize {
        lock(&self.interrupted).len()
    }

    /// Resumes pipeline runs that an earlier server did not finish.
    pub(crate) async fn resume(&self, which: Resume) -> Result<()> {
        let is_chosen = |run: &mut PipelineRun| which == Resume::All || run.kind == PipelineKind::Run;
        let chosen: Vec<PipelineRun> = lock(&self.interrupted).extract_if(.., is_chosen).collect();
        for run in chosen {
            let caller = Caller::system(self.app.kernel.clone(), "start");
            let project = self.app.projects.get(run.project_id).await?;
            let runner = self.app.runner.clone();
            self.app.kernel.work.spawn("resumed pipeline run", async move {
                if let Err(error) = runner.resume(&caller, &project, &run).await {
                    tracing::warn!(pipeline_run.id = %run.id, error = error.chain(), "a resumed pipeline run failed");
                }
            });
        }
        Ok(())
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&self.address, &self.token)
    }

    /// Waits for running work, then stops the server.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(scheduler) = self.scheduler {
            scheduler.abort();
        }
        // Running steps send requests to this server, so it answers until they have ended.
        self.app.kernel.work.stop(WORK_TIMEOUT).await;
        // Stopping twice has no effect.
        let _ = self.stop.send(true);
        self.serving.await?;
        let path = self.data.join(SERVER_FILE);
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        self.lease.abort();
        lease::give_back(&self.app.kernel).await?;
        self.app.kernel.store().close().await.map_err(perennial_core::Error::from)?;
        Ok(())
    }
}

/// Brings the store into a consistent state before the first request; gives the interrupted pipeline runs.
async fn recover(app: &Arc<Slices>, data: &Path) -> Result<Vec<PipelineRun>> {
    let caller = Caller::system(app.kernel.clone(), "start");
    record_restore(&caller, data).await?;
    loads::sweep(&app.kernel).await?;
    let interrupted = pipelines::recover(&caller).await?;
    app.endpoints.open_all().await?;
    Ok(interrupted)
}

/// Serves the routes of the API and of the console until `shutdown` completes.
fn serve(
    app: &Arc<Slices>,
    options: ServeOptions,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let perimeter = Perimeter::new(app.clone(), Options { auth: options.auth, hosts: options.hosts });
    let routes = perennial_api::routes(&perimeter).merge(perennial_console::routes(&perimeter));
    let router = routes.into_router(perennial_api::NOT_FOUND_HINT);
    tokio::spawn(perennial_http::serve(listener, PlainTcp, router, shutdown, CONNECTIONS_TIMEOUT))
}

async fn run_scheduler(app: Arc<Slices>) {
    loop {
        if let Err(error) = tick(&app).await {
            tracing::warn!(error = format!("{error:#}"), "a scheduler pass failed; it is retried at the next tick");
        }
        tokio::time::sleep(TICK_INTERVAL).await;
    }
}

/// Starts a scheduler pass for every project, each in a task of its own, so that no project waits for another.
async fn tick(app: &Arc<Slices>) -> Result<()> {
    let projects = perennial_store::projects::list(&mut *app.kernel.store().read().await?)
        .await
        .map_err(perennial_core::Error::from)?;
    let submitted = projects.into_iter().filter(|project| project.file_digest.is_some());
    for id in submitted.map(|project| project.id) {
        let app_of_task = app.clone();
        app.kernel.work.spawn("scheduler pass", async move {
            if let Err(error) = tick_project(&app_of_task, id).await {
                let error = error.chain();
                tracing::warn!(project.id = %id, error, "a scheduler pass failed; it is retried at the next tick");
            }
        });
    }
    Ok(())
}

async fn tick_project(app: &Arc<Slices>, id: ProjectId) -> perennial_core::Result<()> {
    let project = app.projects.get(id).await?;
    for event in app.watch.tick(&Caller::system(app.kernel.clone(), "clock"), &project).await? {
        if event.needs_attention {
            tracing::warn!(project = %project.name, "{}", event.message);
        } else {
            tracing::info!(project = %project.name, "{}", event.message);
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
