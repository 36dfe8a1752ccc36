//! The server inside this process, and finding the one that is there already.
//!
//! One host serves a data folder: it holds the folder's lock, and `server.json` (mode 0600)
//! tells others where it answers and with which token.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use fs4::fs_std::FileExt;
use perennial_app::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_app::{App, Caller, access, lease, loads, pipelines};
use perennial_core::ErrorCode;
use perennial_core::id::ProjectId;
use perennial_http::{Options, Perimeter, PlainTcp, serve};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::commands::{data_folder, record_restore};
use crate::output::refused;
use crate::wiring::{self, Places};

/// Between two looks whether the holder of a data folder answers or has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Looks after which a holder that does not answer is given up.
const LOOKS_MAX: usize = 50;
/// How often a server looks at what came due.
const TICK: Duration = Duration::from_secs(1);
/// How long a server that ends waits for pipeline runs and looks under way; what is left goes on after a start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it then waits for connections to end.
const CONNECTIONS_PATIENCE: Duration = Duration::from_secs(30);

/// What `server.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    /// `http://127.0.0.1:<port>`.
    pub address: String,
    /// A token of the host, void when it ends.
    pub token: String,
    /// Its process.
    pub pid: u32,
    /// Whether it stays and acts by itself, as that of `perennial up` does; else it ends with its command.
    #[serde(default)]
    pub stays: bool,
}

/// A server in this process.
pub(crate) struct Host {
    /// The world.
    pub app: Arc<App>,
    /// Where it answers.
    pub address: String,
    /// A token with every permission.
    pub token: String,
    data: PathBuf,
    /// Pipeline runs that a server before this one left behind.
    left: Mutex<Vec<PipelineRun>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    ticking: Option<JoinHandle<()>>,
    leasing: JoinHandle<()>,
    _lock: File,
}

/// How a host serves.
#[derive(Clone)]
pub(crate) struct Serving {
    /// Where to answer.
    pub address: SocketAddr,
    /// Whether callers say who they are.
    pub auth: bool,
    /// Further names this server is called by.
    pub hosts: Vec<String>,
    /// Whether it stays and acts by itself, once it is told to: [`Host::act`].
    pub stays: bool,
}

impl Serving {
    /// For one command: a free loopback port, nothing by itself.
    pub(crate) fn embedded() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), auth: true, hosts: Vec::new(), stays: false }
    }
}

/// The lock of a data folder; `None` while another host holds it.
fn try_lock(data: &Path) -> Result<Option<File>> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let file = File::options().create(true).truncate(false).write(true).open(data.join("lock"))?;
    Ok(FileExt::try_lock_exclusive(&file)?.then_some(file))
}

impl Host {
    /// Starts a server over a data folder; `None` when another holds it.
    pub(crate) async fn start(places: &Places, serving: Serving) -> Result<Option<Self>> {
        let Some(lock) = try_lock(&places.data)? else { return Ok(None) };
        let app = wiring::open(places).await?;
        let listener = TcpListener::bind(serving.address).await.map_err(|cause| {
            let message = format!("cannot answer at {}: {cause}", serving.address);
            refused(ErrorCode::NotReady, message, "name another address by `--host` and `--port`")
        })?;
        let local = listener.local_addr()?;
        let address = format!("http://{local}");
        lease::take(&app.kernel, &address).await?;
        let token = access::host_token(&app.kernel).await?.secret;
        // Nobody else sets it: it is this start's.
        let _ = app.address.set(address.clone());
        let caller = Caller::system(app.kernel.clone(), "start");
        record_restore(&caller, &places.data).await?;
        // Before anybody asks and anything is done by itself: what is open now, servers before left.
        loads::sweep(&app.kernel).await?;
        let left = pipelines::recover(&caller).await?;
        app.endpoints.open_all().await?;
        let options = Options { auth: serving.auth, hosts: serving.hosts };
        let perimeter = Perimeter::new(app.clone(), options);
        let routes = perennial_api::routes(&perimeter).merge(perennial_console::routes(&perimeter));
        let router = routes.into_router(perennial_api::NOT_FOUND_HINT);
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            // The sender lives as long as the host.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let served = tokio::spawn(serve(listener, PlainTcp, router, shutdown, CONNECTIONS_PATIENCE));
        let leasing = tokio::spawn(lease::keep(app.kernel.clone()));
        let host = Self {
            app,
            address,
            token,
            data: places.data.clone(),
            left: Mutex::new(left),
            stop,
            serving: served,
            ticking: None,
            leasing,
            _lock: lock,
        };
        host.write_server_file(serving.stays)?;
        Ok(Some(host))
    }

    /// Acts by itself on what comes due from now on.
    pub(crate) fn act(&mut self) {
        self.ticking = Some(tokio::spawn(tick_for_ever(self.app.clone())));
    }

    /// Goes on with the pipeline runs that a server before this one left behind. Of a command that changes nothing
    /// live, releases are left alone: `but_releases`.
    pub(crate) async fn resume(&self, but_releases: bool) -> Result<()> {
        let is_left = |run: &mut PipelineRun| !but_releases || run.kind == PipelineKind::Run;
        let left: Vec<PipelineRun> = lock(&self.left).extract_if(.., is_left).collect();
        for run in left {
            let caller = Caller::system(self.app.kernel.clone(), "start");
            let project = self.app.projects.get(run.project_id).await?;
            let runner = self.app.runner.clone();
            self.app.work.spawn("resumed pipeline run", async move {
                if let Err(error) = runner.resume(&caller, &project, &run).await {
                    tracing::warn!(pipeline_run.id = %run.id, error = error.chain(), "a resumed pipeline run failed");
                }
            });
        }
        Ok(())
    }

    fn write_server_file(&self, stays: bool) -> Result<()> {
        let file =
            ServerFile { address: self.address.clone(), token: self.token.clone(), pid: std::process::id(), stays };
        let path = self.data.join("server.json");
        let fresh = self.data.join("server.json.new");
        let mut out = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        out.write_all(&serde_json::to_vec(&file)?)?;
        out.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        Ok(())
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&self.address, &self.token)
    }

    /// Finishes what is in flight and ends.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(ticking) = self.ticking {
            ticking.abort();
        }
        // Steps under way still ask this server, so it answers until they are done.
        self.app.work.stop(PATIENCE).await;
        // A second stop changes nothing.
        let _ = self.stop.send(true);
        self.serving.await?;
        let path = self.data.join("server.json");
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        self.leasing.abort();
        lease::give_back(&self.app.kernel).await?;
        self.app.store().close().await.map_err(perennial_core::Error::from)?;
        Ok(())
    }
}

async fn tick_for_ever(app: Arc<App>) {
    loop {
        if let Err(error) = tick(&app).await {
            tracing::warn!(error = format!("{error:#}"), "acting on what came due failed; it is tried again");
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Looks at every project, at each on a task of its own: none waits for another.
async fn tick(app: &Arc<App>) -> Result<()> {
    let projects =
        perennial_store::projects::list(&mut *app.store().read().await?).await.map_err(perennial_core::Error::from)?;
    let known: Vec<ProjectId> =
        projects.into_iter().filter(|project| project.file_digest.is_some()).map(|project| project.id).collect();
    for id in known {
        let ticking = app.clone();
        app.work.spawn("look at a project", async move {
            if let Err(error) = tick_one(&ticking, id).await {
                tracing::warn!(project.id = %id, error = error.chain(), "acting on what came due failed; it is tried again");
            }
        });
    }
    Ok(())
}

async fn tick_one(app: &Arc<App>, id: ProjectId) -> perennial_core::Result<()> {
    let project = app.projects.get(id).await?;
    for happened in app.watch.tick(&Caller::system(app.kernel.clone(), "clock"), &project).await? {
        if happened.needs_attention {
            tracing::warn!(project = %project.name, "{}", happened.message);
        } else {
            tracing::info!(project = %project.name, "{}", happened.message);
        }
    }
    Ok(())
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The team's server, if one is configured.
pub(crate) fn team_server() -> Option<String> {
    std::env::var("PERENNIAL_SERVER").ok().filter(|server| !server.is_empty())
}

/// A connection to whoever serves the project: the configured server, the host that is there, or
/// one started here.
pub(crate) struct Connection {
    /// The client.
    pub client: Client,
    /// The server in this process, if it was started here.
    pub host: Option<Host>,
    /// Whether the server is a team's, which sees nothing of this machine's files.
    pub is_remote: bool,
    /// Whether the server goes on when this command ends.
    pub stays: bool,
}

impl Connection {
    /// Connects for one command.
    pub(crate) async fn open(project: &Path) -> Result<Self> {
        if let Some(server) = team_server() {
            let token = std::env::var("PERENNIAL_TOKEN").map_err(|_| {
                perennial_core::Error::new(
                    ErrorCode::Unauthenticated,
                    "PERENNIAL_SERVER is set, PERENNIAL_TOKEN is not",
                )
                .with_hint("`perennial tokens create NAME --role contributor` makes a token where the server runs")
            })?;
            return Ok(Self { client: Client::remote(&server, &token)?, host: None, is_remote: true, stays: true });
        }
        let root = project.canonicalize().map_err(|_| {
            let message = format!("the project's folder {} is not there", project.display());
            refused(ErrorCode::NotFound, message, "`-C DIR` names it")
        })?;
        let data = data_folder(&root);
        let places = Places {
            root,
            data: data.clone(),
            database: std::env::var("PERENNIAL_DATABASE").ok(),
            artifacts: std::env::var("PERENNIAL_ARTIFACTS").ok(),
            may_step_clock: true,
        };
        Ok(match hold_or_find(&places, &Serving::embedded()).await? {
            Found::Own(host) => Self { client: host.client()?, host: Some(*host), is_remote: false, stays: false },
            Found::Other(client, file) => Self { client, host: None, is_remote: false, stays: file.stays },
        })
    }

    /// Goes on with what a server before left behind, if the server was started here.
    pub(crate) async fn resume(&self, but_releases: bool) -> Result<()> {
        match &self.host {
            Some(host) => host.resume(but_releases).await,
            None => Ok(()),
        }
    }

    /// How many pipeline runs a server before left behind, if the server was started here.
    pub(crate) fn left(&self) -> usize {
        self.host.as_ref().map_or(0, |host| lock(&host.left).len())
    }

    /// Ends the server if it was started here.
    pub(crate) async fn close(self) -> Result<()> {
        match self.host {
            Some(host) => host.stop().await,
            None => Ok(()),
        }
    }
}

/// Who serves a data folder.
pub(crate) enum Found {
    /// A host in this process, just started.
    Own(Box<Host>),
    /// Another process, which answers.
    Other(Client, ServerFile),
}

/// Starts a host over a data folder, or finds the one that holds it. One that holds it and does not answer is waited
/// for, as it may be beginning or ending.
pub(crate) async fn hold_or_find(places: &Places, serving: &Serving) -> Result<Found> {
    for _ in 0..LOOKS_MAX {
        if let Some(host) = Host::start(places, serving.clone()).await? {
            return Ok(Found::Own(Box::new(host)));
        }
        if let Some((client, file)) = there(&places.data).await {
            return Ok(Found::Other(client, file));
        }
        tokio::time::sleep(LOOK).await;
    }
    let message = format!("{} is held by another process that does not answer", places.data.display());
    Err(refused(ErrorCode::NotReady, message, "end that process, then try again"))
}

/// The host that `server.json` tells of, if it answers.
async fn there(data: &Path) -> Option<(Client, ServerFile)> {
    let file: ServerFile = serde_json::from_slice(&std::fs::read(data.join("server.json")).ok()?).ok()?;
    let client = Client::new(&file.address, &file.token).ok()?;
    client.get("/health").await.ok().map(|_| (client, file))
}
