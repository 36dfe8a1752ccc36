//! The Unix socket in the data folder, over which commands in the project's folder reach their server without a token.
//!
//! The socket admits processes of the server's own user, and of root. A step runs as that user, too: so a process that
//! the server started, or one that was started from it, is refused, and so is one that gave up gaining privileges, as
//! every isolated step does, unless the server itself has.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use perennial_core::{Error, ErrorCode, Result};
use tokio::net::UnixListener;
use tokio::net::unix::UCred;

#[cfg(test)]
mod tests;

/// The name of the socket in a data folder.
const NAME: &str = "server.sock";

/// The longest path of a socket, in bytes: that of `sockaddr_un`, with its end.
const PATH_MAX_BYTES: usize = 107;

/// Ancestors of a process that are read at most.
const ANCESTORS_MAX: usize = 1_000;

/// The path of the socket of a data folder, short enough for the system as long as this value lives.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    /// The path in a data folder.
    ///
    /// # Errors
    /// If the folder cannot be opened.
    pub fn new(data: &Path) -> std::io::Result<Self> {
        let path = data.join(NAME);
        if path.as_os_str().as_bytes().len() <= PATH_MAX_BYTES {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// Listens at the socket of a data folder, whose lock this process holds. Replaces the socket of an earlier server.
///
/// # Errors
/// If the socket cannot be created.
pub(crate) fn listen(data: &Path) -> Result<UnixListener> {
    let failed = |cause: std::io::Error| {
        let message = format!("cannot listen at the Unix socket {}", data.join(NAME).display());
        Error::new(ErrorCode::NotReady, message).with_source(cause)
    };
    let path = SocketPath::new(data).map_err(failed)?;
    match std::fs::remove_file(path.as_path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path.as_path()).map_err(failed)?;
    std::fs::set_permissions(path.as_path(), std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Removes the socket of a data folder.
pub(crate) fn remove(data: &Path) {
    if let Ok(path) = SocketPath::new(data) {
        // Best effort: the next server replaces it.
        let _ = std::fs::remove_file(path.as_path());
    }
}

/// Whether the peer of a connection may act as the administrator of this machine.
pub(crate) fn is_admitted(peer: &UCred) -> bool {
    let own = rustix::process::getpid().as_raw_pid();
    let is_own_user = peer.uid() == rustix::process::geteuid().as_raw() || peer.uid() == 0;
    let Some(pid) = peer.pid().filter(|pid| is_own_user && *pid > 0) else { return false };
    if pid == own {
        return true;
    }
    // A process that has ended could be anyone's.
    let (Some(status), Some(server)) = (Status::read(pid), Status::read(own)) else { return false };
    if status.has_no_new_privileges && !server.has_no_new_privileges {
        return false;
    }
    !descends_from(status, own)
}

/// Whether an ancestor of a process is `ancestor`. An ancestor of another user may be invisible, and is none of a step.
fn descends_from(mut process: Status, ancestor: i32) -> bool {
    for _ in 0..ANCESTORS_MAX {
        if process.parent == ancestor {
            return true;
        }
        match Status::read(process.parent) {
            Some(parent) if process.parent > 1 => process = parent,
            _ => return false,
        }
    }
    true
}

/// A process, as the system describes it.
struct Status {
    parent: i32,
    has_no_new_privileges: bool,
}

impl Status {
    fn read(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<i32>().ok());
        Some(Self { parent: field("PPid:")?, has_no_new_privileges: field("NoNewPrivs:")? != 0 })
    }
}
