//! `perennial up`: a server that runs until it is stopped.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use perennial_core::ErrorCode;
use perennial_server::{Resume, ServeOptions, ServerPaths};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Switch, Up};
use crate::connection::{ServerHandle, start_or_connect};
use crate::data_folder;
use crate::database;
use crate::embedded_server::{EmbeddedServer, Lifetime};
use crate::output::{note, user_error};

/// How long the start waits for the models of endpoints; the server answers meanwhile.
const OPENING_WAIT: Duration = Duration::from_secs(10);

/// The time between two checks whether the command that uses the data folder has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Starts the server as soon as no command uses the data folder.
///
/// # Errors
/// `wrong-state` if another `perennial up` serves the data folder.
async fn start(paths: &ServerPaths, options: &ServeOptions) -> Result<EmbeddedServer> {
    let mut is_waiting = false;
    loop {
        let file = match start_or_connect(paths, options, Lifetime::Persistent).await? {
            ServerHandle::Started(server) => return Ok(*server),
            ServerHandle::Running(_, file) => file,
        };
        if file.is_persistent {
            let (data, pid, address) = (paths.data.display(), file.pid, file.address);
            let message = format!("data folder {data} is already served by process {pid} at {address}");
            return Err(user_error(ErrorCode::WrongState, message, "stop that process first"));
        }
        if !is_waiting {
            note!("waiting until the command in this folder has ended (process {})", file.pid);
            is_waiting = true;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

pub(crate) async fn up(folder: &Path, options: &Up) -> Result<ExitCode> {
    // The memory allocator requests huge pages, of which an idle server uses a tenth. An error means that the
    // kernel has no huge pages.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    if options.auth == Switch::Off && !options.host.is_loopback() {
        let message = format!("`--auth off` needs a loopback address; other machines can reach {}", options.host);
        let hint = "start without `--auth off`; `perennial login-link` prints a link to sign in";
        return Err(user_error(ErrorCode::InvalidArgument, message, hint));
    }
    let root = folder.canonicalize()?;
    let paths = ServerPaths {
        data: options.data.clone().unwrap_or_else(|| data_folder::of(&root)),
        database: database::from_arguments(options)?,
        artifacts: options.artifacts.clone(),
        may_step_clock: options.host.is_loopback(),
        may_run_unisolated: options.allow_unisolated_steps,
        may_build_packages: options.allow_source_packages,
        uses_data_workers: !options.data_in_process,
        root,
    };
    let serve_options = ServeOptions {
        address: SocketAddr::new(options.host, options.port),
        auth: options.auth == Switch::On,
        hosts: options.allow_host.clone(),
    };
    let mut server = start(&paths, &serve_options).await?;
    if let Err(error) = data_folder::record(&paths.root, &paths.data) {
        tracing::warn!(
            error = format!("{error:#}"),
            "cannot record the data folder: commands in the project folder will not find this server"
        );
    }
    // What loads longer is loaded beside the rest of the start.
    let _ = tokio::time::timeout(OPENING_WAIT, server.endpoints_opened()).await;
    // The scheduler must use the present project file, not that of the last submission.
    if paths.root.join(perennial_config::FILE_NAME).is_file()
        && let Err(error) = server.submit_own_project().await
    {
        tracing::error!(error = error.chain(), "cannot submit the project file");
    }
    server.resume(Resume::All).await;
    server.start_scheduler();
    note!("listening at {}", server.address);
    if options.auth == Switch::On {
        // A redirected standard error may be a log that other people can read: the link is a secret.
        if std::io::stderr().is_terminal() {
            let link = server.admin_link().await?;
            note!("sign in at {}/login/{link} (valid once, until the next start)", server.public_address);
        } else {
            note!("`perennial login-link` in {} prints a link to sign in", paths.root.display());
        }
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let is_lost = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = server.lease_lost() => true,
    };
    note!("stopping: waiting for running work to end");
    server.stop().await?;
    if is_lost {
        bail!("another server has taken over the database");
    }
    Ok(ExitCode::SUCCESS)
}
