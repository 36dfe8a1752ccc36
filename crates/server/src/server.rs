//! A server over a data folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use perennial_core::entity::{Endpoint, PipelineKind, PipelineRun};
use perennial_core::id;
use perennial_core::permission::Principal;
use perennial_core::{Error, ErrorCode, Result};
use perennial_execution::pipelines;
use perennial_http::{Options, Perimeter, PlainTcp, ServeLimits, Slices, raise_open_file_limit};
use perennial_ingest::loads;
use perennial_kernel::{Caller, access, attempts, lease};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::disk_reserve;
use crate::host_socket;
use crate::restore::record_restore;
use crate::scheduler;
use crate::wiring::{self, ServerPaths};

/// How long a stopping server waits for running work. Work that is not finished then is resumed by the next server.
const WORK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stopping server then waits for open connections.
const CONNECTIONS_TIMEOUT: Duration = Duration::from_secs(30);

/// How a server accepts requests.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The address to listen on; port 0 chooses a free port.
    pub address: SocketAddr,
    /// Whether requests need credentials.
    pub auth: bool,
    /// Additional host names that the server accepts.
    pub hosts: Vec<String>,
}

/// Which interrupted pipeline runs to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Runs and releases.
    All,
    /// Only runs. Releases stay interrupted: the command must not change what is served.
    RunsOnly,
}

/// A server that listens and has written what it needs; its clients wait until it answers.
pub struct BoundServer {
    /// Its URL on this machine.
    pub address: String,
    public_address: String,
    data: PathBuf,
    options: ServeOptions,
    /// The principal of the server's own user.
    host: Principal,
    listener: TcpListener,
    socket: UnixListener,
    slices: Arc<Slices>,
    interrupted: Vec<PipelineRun>,
    /// Endpoints to open.
    unopened: Vec<Endpoint>,
    lease: lease::Held,
}

/// A running server.
pub struct Server {
    /// Its URL on this machine.
    pub address: String,
    /// Its URL for people and other machines: the first allowed host name, else an address of this machine.
    pub public_address: String,
    data: PathBuf,
    slices: Arc<Slices>,
    /// Pipeline runs that an earlier server did not finish.
    interrupted: Mutex<Vec<PipelineRun>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    scheduler: Option<JoinHandle<()>>,
    /// Whether every endpoint was opened, or could not be.
    opened: watch::Receiver<bool>,
    lease: lease::Held,
}

impl BoundServer {
    /// Listens, opens the data folder and brings it into a consistent state. The caller holds the lock of the folder until
    /// the server has stopped.
    ///
    /// # Errors
    /// If the address is in use, if the store cannot be opened, or if another server holds the lease on the database.
    pub async fn bind(paths: &ServerPaths, options: ServeOptions) -> Result<Self> {
        let listener = TcpListener::bind(options.address).await.map_err(|cause| {
            Error::new(ErrorCode::NotReady, format!("cannot listen on {}: {cause}", options.address))
                .with_hint("choose another address with `--host` and `--port`")
        })?;
        let local = listener
            .local_addr()
            .map_err(|cause| Error::internal(format!("cannot find the port of {}", options.address), cause))?;
        let address = format!("http://{}", reachable(local));
        let public_address = format!("http://{}", public_authority(local, &options.hosts));
        let slices = wiring::open(paths).await?;
        let lease = lease::take(&slices.kernel, &public_address).await?;
        if let Some(latest_ms) = slices.kernel.store().latest_id_ms().await? {
            id::continue_after(latest_ms);
        }
        let host = access::host(&slices.kernel).await?;
        let socket = host_socket::listen(&paths.data)?;
        // Set only here, once per kernel: it cannot be set already.
        let _ = slices.kernel.address.set(address.clone());
        let _ = slices.kernel.public_address.set(public_address.clone());
        let interrupted = recover(&slices, &paths.data).await?;
        let unopened = slices.endpoints.begin_opening().await?;
        disk_reserve::keep(&paths.data);
        let data = paths.data.clone();
        Ok(Self {
            address,
            public_address,
            data,
            options,
            host,
            listener,
            socket,
            slices,
            interrupted,
            unopened,
            lease,
        })
    }

    /// Answers requests. The models of endpoints are loaded meanwhile.
    pub fn serve(self) -> Server {
        let Self { address, public_address, data, options, host, listener, socket, slices, .. } = self;
        let (interrupted, unopened, lease) = (self.interrupted, self.unopened, self.lease);
        slices.kernel.work.spawn("jobs", slices.worker().run());
        let (stop, stopped) = watch::channel(false);
        let serving = serve(&slices, options, host, (listener, socket), &stopped);
        let opened = open_endpoints(&slices, unopened);
        let interrupted = Mutex::new(interrupted);
        Server { address, public_address, data, slices, interrupted, stop, serving, scheduler: None, opened, lease }
    }
}

impl Server {
    /// Starts the scheduler.
    pub fn start_scheduler(&mut self) {
        self.scheduler = Some(tokio::spawn(scheduler::run(self.slices.clone())));
    }

    /// Submits the project in the server's own folder and applies its endpoint declarations.
    ///
    /// # Errors
    /// If the project file has mistakes.
    pub async fn submit_own_project(&self) -> Result<()> {
        let slices = &self.slices;
        let caller = &Caller::system(slices.kernel.clone(), "up");
        let (project, notes) = slices.projects.submit(caller).await?;
        tracing::info!(project = %project.name, "submitted the project file");
        let submission = project.submission()?;
        let applied = slices.endpoints.apply_declarations(caller, &project, &submission).await?;
        for line in notes.iter().chain(&applied) {
            tracing::info!(project = %project.name, "{line}");
        }
        Ok(())
    }

    /// The secret of a link that signs in an administrator once.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn admin_link(&self) -> Result<String> {
        access::admin_link(&self.slices.kernel).await
    }

    /// How many pipeline runs of an earlier server are still interrupted.
    pub fn interrupted(&self) -> usize {
        lock(&self.interrupted).len()
    }

    /// Resumes pipeline runs that an earlier server did not finish, in the background. One whose project cannot be loaded
    /// stays interrupted, and is logged.
    pub async fn resume(&self, which: Resume) {
        let is_chosen = |run: &mut PipelineRun| which == Resume::All || run.kind == PipelineKind::Run;
        let chosen: Vec<PipelineRun> = lock(&self.interrupted).extract_if(.., is_chosen).collect();
        for run in chosen {
            let caller = Caller::system(self.slices.kernel.clone(), "start");
            let project = match self.slices.projects.get(run.project_id).await {
                Ok(project) => project,
                Err(error) => {
                    tracing::error!(pipeline_run.id = %run.id, error = error.chain(), "a run cannot be resumed");
                    continue;
                }
            };
            let runner = self.slices.runner.clone();
            self.slices.kernel.work.spawn("resumed pipeline run", async move {
                if let Err(error) = runner.resume(&caller, &project, &run).await {
                    tracing::warn!(pipeline_run.id = %run.id, error = error.chain(), "a resumed pipeline run failed");
                }
            });
        }
    }

    /// Completes when every endpoint was opened, or could not be: those that can answer do.
    pub async fn endpoints_opened(&self) {
        // Without its sender, the opening has ended.
        let _ = self.opened.clone().wait_for(|opened| *opened).await;
    }

    /// Completes when another server has taken over the database.
    pub async fn lease_lost(&self) {
        self.slices.kernel.lease.lost().await;
    }

    /// Waits for running work, then stops the server.
    ///
    /// # Errors
    /// If the store cannot be closed.
    pub async fn stop(self) -> Result<()> {
        if let Some(scheduler) = self.scheduler {
            scheduler.abort();
        }
        let kernel = &self.slices.kernel;
        // Running steps send requests to this server, so it answers until they have ended.
        kernel.work.stop(WORK_TIMEOUT).await;
        if let Err(error) = attempts::end_all(kernel).await {
            tracing::warn!(error = error.chain(), "attempts under way will count as ended by the death of this server");
        }
        // Stopping twice has no effect.
        let _ = self.stop.send(true);
        self.serving.await.map_err(|panic| Error::internal("the server ended abruptly", panic))?;
        host_socket::remove(&self.data);
        scheduler::stamp(&self.slices).await;
        self.lease.give_back().await?;
        Ok(kernel.store().close().await?)
    }
}

/// An address at which this machine reaches a listener: one that listens on every address is reached by loopback.
fn reachable(local: SocketAddr) -> SocketAddr {
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, local.port())
}

/// Host and port at which other machines reach a listener: the first allowed host name; for one that listens on every
/// address, the address of this machine that it uses towards others.
fn public_authority(local: SocketAddr, hosts: &[String]) -> String {
    if let Some(host) = hosts.first() {
        return format!("{host}:{}", local.port());
    }
    if local.ip().is_unspecified() {
        outgoing_address().map_or(reachable(local), |ip| SocketAddr::new(ip, local.port())).to_string()
    } else {
        local.to_string()
    }
}

/// The address of this machine towards others. Connecting a datagram socket chooses it and sends nothing.
fn outgoing_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address for documentation: it belongs to no machine.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Brings the store into a consistent state before the first request; gives the interrupted pipeline runs.
async fn recover(slices: &Arc<Slices>, data: &Path) -> Result<Vec<PipelineRun>> {
    let caller = Caller::system(slices.kernel.clone(), "start");
    record_restore(&caller, data).await?;
    attempts::recover(&caller).await?;
    loads::sweep(&slices.kernel).await?;
    let interrupted = pipelines::recover(&caller).await?;
    wiring::clear_work(&slices.kernel.services.work);
    Ok(interrupted)
}

/// Opens endpoints in the background. Returns a value that is true when all were opened, or could not be.
fn open_endpoints(slices: &Arc<Slices>, unopened: Vec<Endpoint>) -> watch::Receiver<bool> {
    let (opened, is_opened) = watch::channel(false);
    let (endpoints, work) = (slices.endpoints.clone(), slices.kernel.work.clone());
    slices.kernel.work.spawn("opening of endpoints", async move {
        tokio::select! {
            () = endpoints.open_each(&unopened) => {}
            () = work.stopping() => {}
        }
        opened.send_replace(true);
    });
    is_opened
}

/// Serves the routes of the API and of the console, over TCP and over the Unix socket, until `stopped` is true.
fn serve(
    slices: &Arc<Slices>,
    options: ServeOptions,
    host: Principal,
    (listener, socket): (TcpListener, UnixListener),
    stopped: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    let options = Options { auth: options.auth, hosts: options.hosts };
    let perimeter = Perimeter::with_host(slices.clone(), options, Some(host));
    let routes = perennial_api::routes(&perimeter).merge(perennial_console::routes(&perimeter));
    let router = routes.into_router(perennial_api::NOT_FOUND_HINT);
    let shutdown = || {
        let mut stopped = stopped.clone();
        async move {
            // The sender lives as long as the server, so this ends only by the value.
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let limits = ServeLimits { connections_max: raise_open_file_limit(), patience: CONNECTIONS_TIMEOUT };
    let over_tcp = perennial_http::serve(listener, PlainTcp, router.clone(), shutdown(), limits);
    let over_socket =
        perennial_http::serve_host(socket, host_socket::is_admitted, router, shutdown(), CONNECTIONS_TIMEOUT);
    tokio::spawn(async move {
        tokio::join!(over_tcp, over_socket);
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
