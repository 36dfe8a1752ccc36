//! The server that a command sends its requests to: the configured one, a running one, or one in this process.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use perennial_core::{Error, ErrorCode};
use perennial_server::{Resume, ServeOptions, ServerPaths};

use crate::client::Client;
use crate::data_folder;
use crate::database;
use crate::embedded_server::{EmbeddedServer, Lifetime, ServerFile, loopback};
use crate::output::user_error;

/// The time between two attempts to start a server or to reach the running one.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Attempts until a process that holds the data folder without answering is reported.
const ATTEMPTS_MAX: usize = 50;

/// The URL of the team's server, if one is configured.
pub(crate) fn team_server() -> Option<String> {
    std::env::var("PERENNIAL_SERVER").ok().filter(|server| !server.is_empty())
}

/// A connection to the server of a project.
pub(crate) struct Connection {
    /// The client.
    pub client: Client,
    /// The server in this process, if this command started it.
    pub server: Option<EmbeddedServer>,
    /// Whether the server is a team's, which cannot read the files of this machine.
    pub is_remote: bool,
    /// Whether the server keeps running when this command ends.
    pub is_persistent: bool,
}

impl Connection {
    /// Connects for one command.
    ///
    /// # Errors
    /// If `PERENNIAL_SERVER` is set without a token, if the project folder does not exist, or if no server can be
    /// started or reached.
    pub(crate) async fn open(project: &Path) -> Result<Self> {
        if let Some(server) = team_server() {
            return Self::remote(&server);
        }
        let root = project.canonicalize().map_err(|_| {
            let message = format!("project folder {} does not exist", project.display());
            user_error(ErrorCode::NotFound, message, "`-C DIR` names the project folder")
        })?;
        let paths = ServerPaths {
            data: data_folder::of(&root),
            root,
            database: database::from_environment()?,
            artifacts: std::env::var("PERENNIAL_ARTIFACTS").ok(),
            may_step_clock: true,
            // The steps and packages are those of the person who started this command.
            may_run_unisolated: true,
            may_build_packages: true,
            uses_data_workers: false,
        };
        Ok(match start_or_connect(&paths, &loopback(), Lifetime::Command).await? {
            ServerHandle::Started(server) => {
                Self { client: server.client()?, server: Some(*server), is_remote: false, is_persistent: false }
            }
            ServerHandle::Running(client, file) => {
                Self { client, server: None, is_remote: false, is_persistent: file.is_persistent }
            }
        })
    }

    fn remote(server: &str) -> Result<Self> {
        let token = std::env::var("PERENNIAL_TOKEN").map_err(|_| {
            Error::new(ErrorCode::Unauthenticated, "PERENNIAL_SERVER is set but PERENNIAL_TOKEN is not")
                .with_hint("`perennial tokens create NAME --role contributor` creates a token on the server's machine")
        })?;
        Ok(Self { client: Client::remote(server, &token)?, server: None, is_remote: true, is_persistent: true })
    }

    /// Resumes pipeline runs that an earlier server did not finish, if this command started the server.
    pub(crate) async fn resume(&self, which: Resume) {
        if let Some(server) = &self.server {
            server.resume(which).await;
        }
    }

    /// How many pipeline runs are interrupted; 0 if another process runs the server, which resumes them itself.
    pub(crate) fn interrupted(&self) -> usize {
        self.server.as_ref().map_or(0, |server| server.interrupted())
    }

    /// Stops the server if this command started it.
    pub(crate) async fn close(self) -> Result<()> {
        match self.server {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// The server of a data folder.
pub(crate) enum ServerHandle {
    /// A server in this process, just started.
    Started(Box<EmbeddedServer>),
    /// A server of another process.
    Running(Client, ServerFile),
}

/// Starts a server over a data folder, or connects to the one that runs. A process that holds the folder may be
/// starting or stopping, so this retries for a few seconds.
///
/// # Errors
/// `not-ready` if another process holds the folder and never answers.
pub(crate) async fn start_or_connect(
    paths: &ServerPaths,
    options: &ServeOptions,
    lifetime: Lifetime,
) -> Result<ServerHandle> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(server) = EmbeddedServer::start(paths, options.clone(), lifetime).await? {
            return Ok(ServerHandle::Started(Box::new(server)));
        }
        if let Some((client, file)) = find_running(&paths.data).await {
            return Ok(ServerHandle::Running(client, file));
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    let message = format!("data folder {} is locked by another process that does not answer", paths.data.display());
    Err(user_error(ErrorCode::NotReady, message, "stop that process, then try again"))
}

/// The server that `server.json` describes, if it answers.
async fn find_running(data: &Path) -> Option<(Client, ServerFile)> {
    let file = ServerFile::read(data)?;
    let client = Client::local(data, &file.address).ok()?;
    client.get("/health").await.ok().map(|_| (client, file))
}
