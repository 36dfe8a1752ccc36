//! `perennial up`: the server that stays.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use perennial_app::{App, Caller, access};
use perennial_core::ErrorCode;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Switch, Up};
use crate::commands::{data_folder, note_data_folder};
use crate::host::{Found, Host, Serving, hold_or_find};
use crate::output::{note, refused};
use crate::wiring::Places;

/// How often it is looked whether the command that holds the data folder has ended.
const LOOK: Duration = Duration::from_millis(200);

/// Starts once no command works on the data folder any more; another server that stays is not waited for.
async fn start(places: &Places, serving: &Serving) -> Result<Host> {
    let mut is_told = false;
    loop {
        let file = match hold_or_find(places, serving).await? {
            Found::Own(host) => return Ok(*host),
            Found::Other(_, file) => file,
        };
        if file.stays {
            let (data, pid, address) = (places.data.display(), file.pid, file.address);
            let message = format!("{data} is served by process {pid} at {address} already");
            return Err(refused(ErrorCode::WrongState, message, "stop it first"));
        }
        if !is_told {
            note!("waiting for the command that works here to end (process {})", file.pid);
            is_told = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Submits the project of the server's own folder; its endpoints follow it from now on.
async fn submit(app: &App) -> perennial_core::Result<()> {
    let caller = &Caller::system(app.kernel.clone(), "up");
    let (project, told) = app.projects.submit(caller).await?;
    tracing::info!(project = %project.name, "the project file is submitted");
    for line in told {
        tracing::info!(project = %project.name, "{line}");
    }
    let submission = project.submission()?;
    for line in app.endpoints.apply_declarations(caller, &project, &submission).await? {
        tracing::info!(project = %project.name, "{line}");
    }
    Ok(())
}

pub(crate) async fn up(folder: &Path, options: &Up) -> Result<ExitCode> {
    // The allocator asks for huge pages, of which an idle server fills a tenth. Where the kernel
    // knows nothing of it, nothing is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    if options.auth == Switch::Off && !options.host.is_loopback() {
        let message =
            format!("`--auth off` is for loopback addresses alone; {} can be reached by others", options.host);
        return Err(refused(ErrorCode::InvalidArgument, message, "leave it away; `perennial login-link` signs you in"));
    }
    let root = folder.canonicalize()?;
    let places = Places {
        data: options.data.clone().unwrap_or_else(|| data_folder(&root)),
        database: options.database.clone(),
        artifacts: options.artifacts.clone(),
        may_step_clock: options.host.is_loopback(),
        root,
    };
    let serving = Serving {
        address: SocketAddr::new(options.host, options.port),
        auth: options.auth == Switch::On,
        hosts: options.allow_host.clone(),
        stays: true,
    };
    let mut host = start(&places, &serving).await?;
    if let Err(error) = note_data_folder(&places.root, &places.data) {
        tracing::warn!(error = format!("{error:#}"), "commands in the project's folder do not find this server");
    }
    // What comes due is judged by the file as it is now, not as it was when the server ended.
    if places.root.join(perennial_config::FILE_NAME).is_file()
        && let Err(error) = submit(&host.app).await
    {
        tracing::error!(error = error.chain(), "the project file was not submitted");
    }
    host.resume(false).await?;
    host.act();
    note!("answering at {}", host.address);
    if options.auth == Switch::On {
        let link = access::admin_link(&host.app.kernel).await?;
        note!("sign in once with {}/login/{link}", host.address);
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let is_lost = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = host.app.lease.lost() => true,
    };
    note!("finishing what is in flight");
    host.stop().await?;
    if is_lost {
        bail!("another server has taken over the database");
    }
    Ok(ExitCode::SUCCESS)
}
