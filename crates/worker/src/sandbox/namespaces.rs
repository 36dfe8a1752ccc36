//! Namespaces of the kernel: a network, and a tree of files that has only what is granted.

mod file_tree;
mod server_network;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::process::{getegid, geteuid};

use super::{Network, Processes, Sandbox};
use crate::system;

/// What a process has of its own.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) network: bool,
    /// The listener at the server's address, in a network that has only this address.
    pub(super) listener: Option<TcpListener>,
    /// The tree of files, with `/tmp` and `/dev/shm`.
    pub(super) files: bool,
}

/// Moves this process, which has one thread, into the namespaces that the sandbox needs, as far as the kernel permits.
///
/// Without them the network is still denied by the filter of system calls and by Landlock, and access to files by
/// Landlock. Unix sockets of other processes are what only the tree of files denies, and other addresses with the
/// server's port what only the network does.
pub(super) fn enter(sandbox: &Sandbox) -> io::Result<Own> {
    // A worker has no sockets and opens few files: a tree of its own would only delay its start.
    let wants_files = sandbox.processes == Processes::Allowed;
    let mut flags = libc::CLONE_NEWIPC;
    if wants_files {
        flags |= libc::CLONE_NEWNS;
    }
    let wants_network = match sandbox.network {
        Network::None => true,
        Network::Server(server) => can_listen(flags | libc::CLONE_NEWNET, server),
        Network::Full => false,
    };
    if wants_network {
        flags |= libc::CLONE_NEWNET;
    }
    if unshare(flags).is_err() {
        return Ok(Own::default());
    }
    let listener = match sandbox.network {
        Network::Server(server) if wants_network => Some(server_network::listen(server)?),
        _ => None,
    };
    let files = wants_files && file_tree::enter(sandbox).is_ok();
    Ok(Own { network: wants_network, listener, files })
}

/// Whether this process can get a network with the server's address. A copy of it tries: a process in a network that it
/// cannot start would reach nothing, and there is no way back.
fn can_listen(flags: libc::c_int, server: SocketAddr) -> bool {
    system::succeeds_in_copy(|| unshare(flags).is_ok() && server_network::listen(server).is_ok())
}

/// Moves this process into the namespaces: directly with the right of an administrator, else through a namespace of users,
/// which some systems forbid.
fn unshare(flags: libc::c_int) -> io::Result<()> {
    system::unshare(flags).or_else(|_| unshare_as_user(flags))
}

/// Moves this process into the namespaces and one of users, in which it keeps its user and group.
fn unshare_as_user(flags: libc::c_int) -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    system::unshare(flags | libc::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}
