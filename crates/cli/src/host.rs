//! The server inside this process, and finding the one that is there already.
//!
//! One host serves a data folder: it holds the folder's lock, and `server.json` (mode 0600)
//! tells others where it answers and with which token.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs4::fs_std::FileExt;
use perennial_app::pipeline_runs::PipelineRun;
use perennial_app::{App, Caller, access, clock, endpoints, lease, loads, pipelines};
use perennial_core::ErrorCode;
use perennial_core::id::ProjectId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::commands::record_restore;
use crate::wiring::{self, Places};

/// How often a server looks at what came due.
const TICK: Duration = Duration::from_secs(1);
/// How long a server that ends waits for the pipeline runs under way; what is left goes on after a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `server.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    /// `http://127.0.0.1:<port>`.
    pub address: String,
    /// A token of the host, void when it ends.
    pub token: String,
    /// Its process.
    pub pid: u32,
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
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
    ticking: Option<JoinHandle<()>>,
    leasing: JoinHandle<()>,
    _lock: File,
}

/// How a host serves.
pub(crate) struct Serving {
    /// Where to answer.
    pub address: SocketAddr,
    /// Whether callers say who they are.
    pub auth: bool,
    /// Further names this server is called by.
    pub hosts: Vec<String>,
    /// Whether it acts by itself on what comes due.
    pub ticks: bool,
}

impl Serving {
    /// For one command: a free loopback port, nothing by itself.
    pub(crate) fn embedded() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), auth: true, hosts: Vec::new(), ticks: false }
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
        let listener = TcpListener::bind(serving.address)
            .await
            .with_context(|| format!("cannot answer at {}", serving.address))?;
        let local = listener.local_addr()?;
        let address = format!("http://{local}");
        lease::take(&app, &address).await?;
        let token = access::host_token(&app).await?.secret;
        // Nobody else sets it: it is this start's.
        let _ = app.address.set(address.clone());
        let caller = Caller::system(app.clone(), "start");
        record_restore(&caller, &places.data).await?;
        // Before anybody asks and anything is done by itself: what is open now, servers before left.
        loads::sweep(&app).await?;
        let left = pipelines::recover(&caller).await?;
        endpoints::open_all(&app).await?;
        let pages = perennial_console::Options {
            auth: serving.auth,
            hosts: serving.hosts.clone(),
            is_local: |extensions| {
                extensions.get::<perennial_api::Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
            },
            takes_links: false,
        };
        let options = perennial_api::Options { auth: serving.auth, hosts: serving.hosts };
        let pages = perennial_console::pages(app.clone(), pages);
        // Pages judge their visitors themselves: they send them to sign in.
        let router = perennial_api::router_with(app.clone(), options, |routes| {
            pages
                .into_iter()
                .fold(routes, |routes, (path, page)| routes.page(&path, perennial_api::Access::Public, page))
        });
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move {
            // The sender lives as long as the host.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let served = tokio::spawn(perennial_api::serve(listener, router, shutdown));
        let ticking = serving.ticks.then(|| tokio::spawn(tick_for_ever(app.clone(), stop.subscribe())));
        let leasing = tokio::spawn(lease::keep(app.clone()));
        let host = Self {
            app,
            address,
            token,
            data: places.data.clone(),
            stop,
            serving: served,
            ticking,
            leasing,
            _lock: lock,
        };
        host.write_server_file()?;
        host.resume(&caller, left).await?;
        Ok(Some(host))
    }

    /// Goes on with pipeline runs that a server before this one left behind.
    async fn resume(&self, caller: &Caller, left: Vec<PipelineRun>) -> Result<()> {
        for run in left {
            let (caller, project) = (caller.clone(), self.app.project(run.project_id).await?);
            self.app.work.spawn("resumed pipeline run", async move {
                if let Err(error) = pipelines::carry_out(&caller, &project, &run).await {
                    tracing::warn!(pipeline_run.id = %run.id, error = error.chain(), "a resumed pipeline run failed");
                }
            });
        }
        Ok(())
    }

    fn write_server_file(&self) -> Result<()> {
        let file = ServerFile { address: self.address.clone(), token: self.token.clone(), pid: std::process::id() };
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
        // Steps under way still ask this server, so it answers until they are done.
        self.app.work.stop(PATIENCE).await;
        // A second stop changes nothing.
        let _ = self.stop.send(true);
        if let Some(ticking) = self.ticking {
            ticking.await?;
        }
        self.serving.await??;
        let path = self.data.join("server.json");
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        self.leasing.abort();
        lease::give_back(&self.app).await?;
        self.app.store().close().await.map_err(perennial_core::Error::from)?;
        Ok(())
    }
}

async fn tick_for_ever(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Err(error) = tick(&app).await {
            tracing::warn!(error = format!("{error:#}"), "acting on what came due failed; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn tick(app: &Arc<App>) -> Result<()> {
    let projects =
        perennial_store::projects::list(&mut *app.store().read().await?).await.map_err(perennial_core::Error::from)?;
    let known: Vec<ProjectId> =
        projects.into_iter().filter(|project| project.file_digest.is_some()).map(|project| project.id).collect();
    for id in known {
        let project = app.project(id).await?;
        let caller = Caller::system(app.clone(), "clock");
        match clock::tick(&caller, &project).await {
            Ok(happened) => {
                for happened in happened {
                    tracing::info!(project = %project.name, "{}", happened.message);
                }
            }
            // One project's trouble is not another's.
            Err(error) => {
                tracing::warn!(project = %project.name, error = error.chain(), "acting on what came due failed; it is tried again");
            }
        }
    }
    Ok(())
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
                .hint("`perennial tokens create NAME --role contributor` makes a token where the server runs")
            })?;
            return Ok(Self { client: Client::new(&server, &token)?, host: None, is_remote: true });
        }
        let root = project
            .canonicalize()
            .with_context(|| format!("the project's folder {} is not there", project.display()))?;
        let data = std::env::var_os("PERENNIAL_DATA").map_or_else(|| root.join(".perennial"), PathBuf::from);
        let places = Places {
            root,
            data: data.clone(),
            database: std::env::var("PERENNIAL_DATABASE").ok(),
            artifacts: std::env::var("PERENNIAL_ARTIFACTS").ok(),
            may_step_clock: true,
        };
        for _ in 0..50 {
            if let Some(host) = Host::start(&places, Serving::embedded()).await? {
                return Ok(Self { client: host.client()?, host: Some(host), is_remote: false });
            }
            if let Some(client) = there(&data).await {
                return Ok(Self { client, host: None, is_remote: false });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{} is held by another process that does not answer; see `perennial doctor`", data.display())
    }

    /// Ends the server if it was started here.
    pub(crate) async fn close(self) -> Result<()> {
        match self.host {
            Some(host) => host.stop().await,
            None => Ok(()),
        }
    }
}

/// The host that `server.json` tells of, if it answers.
async fn there(data: &Path) -> Option<Client> {
    let file: ServerFile = serde_json::from_slice(&std::fs::read(data.join("server.json")).ok()?).ok()?;
    let client = Client::new(&file.address, &file.token).ok()?;
    client.get("/health").await.ok().map(|_| client)
}
