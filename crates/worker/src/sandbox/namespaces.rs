//! Namespaces of the kernel: a network and a `/dev/shm` of the process's own.

use std::fs;
use std::io;

use rustix::process::{getegid, geteuid};

use super::files::SHARED_MEMORY;
use super::{Network, Processes, Sandbox};
use crate::system;

/// Options of a `/dev/shm`.
const MEMORY_OPTIONS: &std::ffi::CStr = c"mode=1777";

/// Moves this process, which has one thread, into the namespaces that the sandbox needs, as far as the kernel permits:
/// directly with the right of an administrator, else through a namespace of users, which some systems forbid. Returns
/// whether the network and `/dev/shm` are its own.
///
/// Where they are not, the network is still denied by the filter of system calls and by Landlock.
pub(super) fn enter(sandbox: &Sandbox) -> (bool, bool) {
    let wants_network = sandbox.network == Network::None;
    let wants_memory = sandbox.processes == Processes::Allowed;
    let mut flags = libc::CLONE_NEWIPC;
    if wants_network {
        flags |= libc::CLONE_NEWNET;
    }
    if wants_memory {
        flags |= libc::CLONE_NEWNS;
    }
    let entered = system::unshare(flags).or_else(|_| unshare_as_user(flags)).is_ok();
    (entered && wants_network, entered && wants_memory && mount_memory().is_ok())
}

/// Moves this process into the namespaces and one of users, in which it keeps its user and group.
fn unshare_as_user(flags: libc::c_int) -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    system::unshare(flags | libc::CLONE_NEWUSER)?;
    // Without the maps the process has the right user all the same, only its name is unknown to programs.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Mounts an empty `/dev/shm` that only this process and its children see.
fn mount_memory() -> io::Result<()> {
    // What is mounted here must not appear outside.
    system::mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE, None)?;
    let target = std::ffi::CString::new(SHARED_MEMORY)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    system::mount(Some(c"tmpfs"), &target, Some(c"tmpfs"), flags, Some(MEMORY_OPTIONS))
}
