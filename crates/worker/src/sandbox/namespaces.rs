//! Namespaces of the kernel: a network, and a tree of files that has only what is granted.

mod file_tree;

use std::fs;
use std::io;

use rustix::process::{getegid, geteuid};

use super::{Network, Processes, Sandbox};
use crate::system;

/// What a process has of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    pub(super) network: bool,
    /// The tree of files, with `/tmp` and `/dev/shm`.
    pub(super) files: bool,
}

/// Moves this process, which has one thread, into the namespaces that the sandbox needs, as far as the kernel permits:
/// directly with the right of an administrator, else through a namespace of users, which some systems forbid.
///
/// Without them the network is still denied by the filter of system calls and by Landlock, and access to files by
/// Landlock. Unix sockets of other processes are what only the tree of files denies.
pub(super) fn enter(sandbox: &Sandbox) -> Own {
    // A worker has no sockets and opens few files: a tree of its own would only delay its start.
    let wants = Own { network: sandbox.network == Network::None, files: sandbox.processes == Processes::Allowed };
    let mut flags = libc::CLONE_NEWIPC;
    if wants.network {
        flags |= libc::CLONE_NEWNET;
    }
    if wants.files {
        flags |= libc::CLONE_NEWNS;
    }
    if system::unshare(flags).or_else(|_| unshare_as_user(flags)).is_err() {
        return Own::default();
    }
    Own { files: wants.files && file_tree::enter(sandbox).is_ok(), ..wants }
}

/// Moves this process into the namespaces and one of users, in which it keeps its user and group.
fn unshare_as_user(flags: libc::c_int) -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    system::unshare(flags | libc::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}
