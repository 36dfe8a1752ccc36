//! `perennial up`: the server that stays.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use perennial_app::{Caller, access, projects};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Switch, Up};
use crate::commands::data_folder;
use crate::host::{Host, Serving};
use crate::wiring::Places;

pub(crate) async fn up(folder: &Path, options: &Up) -> Result<ExitCode> {
    if options.auth == Switch::Off && !options.host.is_loopback() {
        bail!("`--auth off` is for loopback addresses alone; {} can be reached by others", options.host);
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
        ticks: true,
    };
    let Some(host) = Host::start(&places, serving).await? else {
        bail!("{} is served by another process already; stop it first", places.data.display());
    };
    if places.root.join(perennial_config::FILE_NAME).is_file() {
        let caller = Caller::system(host.app.clone(), "up");
        match projects::submit(&caller).await {
            Ok(project) => tracing::info!(project = %project.name, "the project file is submitted"),
            Err(error) => tracing::error!(error = error.chain(), "the project file was not submitted"),
        }
    }
    eprintln!("answering at {}", host.address);
    if options.auth == Switch::On {
        let link = access::admin_link(&host.app).await?;
        eprintln!("sign in once with {}/login/{link}", host.address);
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let is_lost = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = host.app.lease.lost() => true,
    };
    eprintln!("finishing what is in flight");
    host.stop().await?;
    if is_lost {
        bail!("another server has taken over the database");
    }
    Ok(ExitCode::SUCCESS)
}
