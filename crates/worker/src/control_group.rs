//! Memory limits of process trees, by control groups of version 2.
//!
//! ```text
//! the server's control group        memory is enabled for the groups below
//! ├── perennial-server              the server and its launchers
//! ├── perennial-<server>-<n>…       a step or a worker, with its limit of memory
//! └── …
//! ```
//!
//! A control group bounds all memory of all its processes, files in memory too. The kernel ends them together when they
//! need more. Dividing a group needs one that was delegated to the server; without it, memory is limited by process, and
//! compared with the limit by the server.

mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use place::Unavailable;

/// The beginning of the names of groups.
const NAME: &str = "perennial-";

/// The group of the server's own processes: only a group without processes of its own can be divided.
const SERVER: &str = "perennial-server";

/// The file with the processes of a group; a process that is written to it moves into the group.
const PROCESSES: &str = "cgroup.procs";

/// The file that enables controllers for the groups below.
const ENABLED: &str = "cgroup.subtree_control";

/// Interval and number of attempts to remove a group whose processes are ending.
const REMOVAL_INTERVAL: Duration = Duration::from_millis(10);
const REMOVALS_MAX: u32 = 100;

/// The limit of the group that proves that groups can be created, bytes.
const TRIAL_BYTES: u64 = 1 << 30;

/// The server's control group, below which groups with limits are created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlGroups {
    folder: PathBuf,
    /// The process id of the server.
    server: u32,
}

impl ControlGroups {
    /// Divides the control group of this process, which moves into a part of its own. Removes the groups that killed
    /// servers left, with their processes.
    ///
    /// Call it once, when the server starts and before it starts processes.
    ///
    /// # Errors
    /// Why the group cannot be divided.
    pub fn open() -> Result<Self, Unavailable> {
        Self::open_for(Path::new("/proc/self"), std::process::id())
    }

    /// The control group that the process `pid` has divided, or could divide. Changes nothing.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn probe(pid: u32) -> Result<PathBuf, Unavailable> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        match place::folder_of(&process).filter(|folder| folder.ends_with(SERVER)) {
            Some(own) => Ok(own.parent().map(Path::to_owned).unwrap_or(own)),
            None => place::find(&process, pid).map(|place| place.folder),
        }
    }

    /// Divides the group of the process `server`, which `process` describes as `/proc/self` does.
    fn open_for(process: &Path, server: u32) -> Result<Self, Unavailable> {
        let place::Place { folder, is_root } = place::find(process, server)?;
        let refused = |error| Unavailable::Refused { group: folder.clone(), error };
        if !is_root {
            let own = folder.join(SERVER);
            fs::create_dir(&own).or_else(exists).map_err(refused)?;
            fs::write(own.join(PROCESSES), server.to_string()).map_err(refused)?;
        }
        let groups = Self { folder: folder.clone(), server };
        let enabled = fs::write(folder.join(ENABLED), "+memory").and_then(|()| groups.create(TRIAL_BYTES));
        if let Err(error) = enabled {
            // Where it was before.
            let _ = fs::write(folder.join(PROCESSES), server.to_string());
            let _ = fs::remove_dir(folder.join(SERVER));
            return Err(refused(error));
        }
        groups.remove_abandoned();
        Ok(groups)
    }

    /// The group that is divided.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates a group whose processes may use `memory_bytes` together.
    ///
    /// # Errors
    /// If the system refuses it.
    pub fn create(&self, memory_bytes: u64) -> io::Result<ControlGroup> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{NAME}{}-{}-{number}", self.server, std::process::id()));
        fs::create_dir(&folder)?;
        let group = ControlGroup { folder };
        fs::write(group.folder.join("memory.max"), memory_bytes.to_string())?;
        // A kernel without swap has no such limit, an old one ends single processes.
        for (file, value) in [("memory.swap.max", "0"), ("memory.oom.group", "1")] {
            let _ = fs::write(group.folder.join(file), value);
        }
        Ok(group)
    }

    /// Removes the groups of servers that have ended.
    fn remove_abandoned(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let server = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next()?.parse::<u32>().ok());
            // One with the process id of this server is of an earlier server, too.
            if server.is_some_and(|pid| pid == self.server || !Path::new(&format!("/proc/{pid}")).exists()) {
                remove(&entry.path());
            }
        }
    }
}

/// A control group. Dropping it kills what is left of its processes and removes it.
#[derive(Debug)]
pub struct ControlGroup {
    folder: PathBuf,
}

impl ControlGroup {
    /// Its folder, for [`Sandbox::control_group`](crate::Sandbox::control_group).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the kernel ended processes of it because they needed more memory than its limit.
    pub fn exceeded_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Moves this process, which has one thread, into a group.
pub(crate) fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join(PROCESSES), "0")
}

/// Removes a group with its processes. Best effort: the next start of a server repeats it.
fn remove(group: &Path) {
    for _ in 0..REMOVALS_MAX {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let _ = fs::write(group.join("cgroup.kill"), "1");
                thread::sleep(REMOVAL_INTERVAL);
            }
            _ => return,
        }
    }
}

fn exists(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;
