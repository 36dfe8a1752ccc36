//! Privileges of a process.

use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use rustix::process::{
    DumpableBehavior, Gid, Signal, Uid, geteuid, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Makes this process, if root runs it, one of another user and group, to whom the folders are given. Returns whether it
/// is; a container may know only some users.
pub(super) fn become_user(user: u32, folders: &[PathBuf]) -> io::Result<bool> {
    if !geteuid().is_root() {
        return Ok(false);
    }
    for folder in folders {
        match give(folder, user) {
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied) => {
                return Ok(false);
            }
            given => given?,
        }
    }
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(true)
}

/// Gives a file, or a folder with everything in it, to a user. A link is given itself, not what it leads to.
fn give(path: &Path, user: u32) -> io::Result<()> {
    lchown(path, Some(user), Some(user))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

/// Drops every capability of this process and of all it will start, permanently. A server run by root thus gives foreign
/// code only the rights of the files' owner: capabilities would bypass Landlock in `/proc` and allow writing read-only
/// files.
pub(super) fn drop_all() {
    // Both fail when the process has no capabilities, which is the goal.
    let _ = set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED);
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
}

/// Kills this process when the thread that started it ends. A change of credentials resets it.
pub(crate) fn die_with_parent() {
    // Fails for no signal that exists.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// Denies other processes of the user the memory and the descriptors of this one. A new program resets it.
pub(crate) fn hide_memory() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
