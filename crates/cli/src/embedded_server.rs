//! A server inside this process.
//!
//! One server at a time serves a data folder. It holds the lock of the folder, and the file `server.json` says where it
//! listens. Other commands of the same user reach it at its Unix socket in the folder, without a token.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use perennial_server::{BoundServer, ServeOptions, Server, ServerPaths, data_folder};
use serde::{Deserialize, Serialize};

use crate::client::Client;

/// The file in a data folder that describes the server over it.
const SERVER_FILE: &str = "server.json";

/// The content of `server.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    /// `http://127.0.0.1:<port>`.
    pub address: String,
    /// The id of the server's process.
    pub pid: u32,
    /// Whether the server keeps running and has a scheduler, as that of `perennial up` does. Otherwise it ends
    /// with its command.
    #[serde(default, alias = "stays")]
    pub is_persistent: bool,
    /// Its metadata database, without user and password.
    #[serde(default)]
    pub database: String,
    /// Where it stores blobs and datasets.
    #[serde(default)]
    pub artifacts: String,
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

/// The URL of a database without user, password and parameters.
pub(crate) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.split('?').next().unwrap_or_default();
    format!("{scheme}://{}", place.rsplit_once('@').map_or(place, |(_, place)| place))
}

/// How long a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until its command ends.
    Command,
    /// Until it is stopped: `perennial up`.
    Persistent,
}

/// Options for the server of one command: a free loopback port.
pub(crate) fn loopback() -> ServeOptions {
    ServeOptions { address: SocketAddr::from(([127, 0, 0, 1], 0)), auth: true, hosts: Vec::new() }
}

/// A server in this process, with the lock of its data folder.
pub(crate) struct EmbeddedServer {
    server: Server,
    data: PathBuf,
    _lock: File,
}

/// Acquires the lock of a data folder; `None` if another process holds it.
///
/// # Errors
/// If the folder cannot be created or the lock file cannot be opened.
pub(crate) fn try_lock(data: &Path) -> Result<Option<File>> {
    data_folder::create(data)?;
    let file = File::options().create(true).truncate(false).write(true).open(data.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

impl EmbeddedServer {
    /// Starts a server over a data folder; `None` if another process serves it.
    pub(crate) async fn start(paths: &ServerPaths, options: ServeOptions, lifetime: Lifetime) -> Result<Option<Self>> {
        let Some(lock) = try_lock(&paths.data)? else { return Ok(None) };
        let bound = BoundServer::bind(paths, options).await?;
        let file = ServerFile {
            address: bound.address.clone(),
            pid: std::process::id(),
            is_persistent: lifetime == Lifetime::Persistent,
            database: paths
                .database
                .as_deref()
                .map_or_else(|| "SQLite in the data folder".to_owned(), without_credentials),
            artifacts: paths.artifacts.clone().unwrap_or_else(|| "the data folder".to_owned()),
        };
        file.write(&paths.data)?;
        let server = bound.serve();
        if lifetime == Lifetime::Command {
            server.endpoints_opened().await;
        }
        Ok(Some(Self { server, data: paths.data.clone(), _lock: lock }))
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::local(&self.data, &self.server.address)
    }

    /// Waits for running work, stops the server and removes its `server.json`.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await?;
        let path = self.data.join(SERVER_FILE);
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl Deref for EmbeddedServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for EmbeddedServer {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
