//! Where a process may divide its control group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::PROCESSES;

/// Kinds of units of systemd, which alone divides the groups of units that it has not delegated.
const UNITS: &[&str] = &["scope", "service", "slice"];

/// Attributes by which systemd marks the group of a unit that it has delegated.
const DELEGATED: &[&str] = &["user.delegate", "trusted.delegate"];

/// Why the control group of a process cannot be divided.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is no hierarchy of version 2, or the process is in no group that is visible to it.
    #[error("no control group of version 2 is visible")]
    NoHierarchy,
    /// The group has no controller of memory.
    #[error("the control group `{}` has no controller of memory", .0.display())]
    NoMemory(PathBuf),
    /// The group is a unit of systemd that was not delegated.
    #[error("the control group `{}` is a unit of systemd without `Delegate=memory`", .0.display())]
    NotDelegated(PathBuf),
    /// Other processes are in the group.
    #[error("the control group `{}` has other processes, too", .0.display())]
    Shared(PathBuf),
    /// The system refuses it.
    #[error("the control group `{}` cannot be divided: {error}", .group.display())]
    Refused {
        /// The group.
        group: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// A control group that can be divided, as far as that can be seen.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Whether it is the first group of the machine, which may have processes beside groups.
    pub(super) is_root: bool,
}

/// The group of the process `pid`, which `process` describes as `/proc/self` does.
pub(super) fn find(process: &Path, pid: u32) -> Result<Place, Unavailable> {
    let folder = folder_of(process).ok_or(Unavailable::NoHierarchy)?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let controllers = read("cgroup.controllers").map_err(|_| Unavailable::NoHierarchy)?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        return Err(Unavailable::NoMemory(folder));
    }
    if is_unit(&folder) && !is_delegated(&folder) {
        return Err(Unavailable::NotDelegated(folder));
    }
    let is_root = !folder.join("cgroup.type").exists();
    let processes = read(PROCESSES).unwrap_or_default();
    if !is_root && processes.split_whitespace().any(|process| process != pid.to_string()) {
        return Err(Unavailable::Shared(folder));
    }
    if let Err(error) = rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK) {
        return Err(Unavailable::Refused { group: folder, error: error.into() });
    }
    Ok(Place { folder, is_root })
}

/// The folder of the group: its path in the hierarchy, below the place where the hierarchy is mounted.
pub(super) fn folder_of(process: &Path) -> Option<PathBuf> {
    let groups = fs::read_to_string(process.join("cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string(process.join("mountinfo")).ok()?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, folder) = (words.next()?, words.next()?);
        let is_hierarchy = file_system.split(' ').next() == Some("cgroup2");
        let below = Path::new(group).strip_prefix(root).ok().filter(|_| is_hierarchy)?;
        // A group outside the visible part of the hierarchy begins with `/..`.
        let is_visible = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        is_visible.then(|| Path::new(folder).join(below))
    })
}

fn is_unit(folder: &Path) -> bool {
    let ending = folder.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| UNITS.contains(&ending))
}

fn is_delegated(folder: &Path) -> bool {
    DELEGATED.iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(folder, *name, &mut value[..]).is_ok_and(|length| &value[..length] == b"1")
    })
}
