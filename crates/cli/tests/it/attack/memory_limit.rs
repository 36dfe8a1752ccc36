//! A limit of the memory of a server with all its processes: a cgroup, or the resident memory where none can be made.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::descendants;

/// Bytes that the server with all its processes may use in the campaign.
pub(super) const BYTES_MAX: u64 = 1 << 30;
/// Processes at once in the cgroup, so that a step that multiplies itself cannot stop this machine.
const PROCESSES_MAX: u64 = 2_000;

/// Where the limit is enforced.
pub(super) enum MemoryLimit {
    /// The folders of the cgroup: one in version 2, one for each controller in version 1. The first has the memory.
    Cgroup { folders: Vec<PathBuf>, peak: &'static str },
    /// Neither version permits a new cgroup: the campaign measures the resident memory.
    Measured,
}

impl MemoryLimit {
    /// Makes the cgroup, if this user may.
    pub(super) fn new() -> Self {
        let name = format!("perennial-attack-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (first, second) = (root.join("memory").join(&name), root.join("pids").join(&name));
        let (memory, processes) = (BYTES_MAX.to_string(), PROCESSES_MAX.to_string());
        if make(&first, &[("memory.limit_in_bytes", &memory)]) {
            let mut folders = vec![first];
            if make(&second, &[("pids.max", &processes)]) {
                folders.push(second);
            }
            return Self::Cgroup { folders, peak: "memory.max_usage_in_bytes" };
        }
        let only = root.join(&name);
        if make(&only, &[("memory.max", &memory), ("memory.swap.max", "0"), ("pids.max", &processes)]) {
            return Self::Cgroup { folders: vec![only], peak: "memory.peak" };
        }
        Self::Measured
    }

    /// The command, which first moves its process into the cgroup.
    pub(super) fn wrap(&self, command: &Command) -> Command {
        let mut script = String::new();
        if let Self::Cgroup { folders, .. } = self {
            for folder in folders {
                let _ = write!(script, "echo $$ > {}/cgroup.procs && ", folder.display());
            }
        }
        let mut wrapped = Command::new("sh");
        wrapped.arg("-c").arg(script + "exec \"$0\" \"$@\"").arg(command.get_program()).args(command.get_args());
        wrapped.current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }

    /// How the limit is enforced, in words.
    pub(super) fn description(&self) -> &'static str {
        match self {
            Self::Cgroup { folders, .. } if folders.len() == 2 => "1 GiB, by cgroup version 1",
            Self::Cgroup { .. } => "1 GiB, by cgroup version 2",
            Self::Measured => "not enforced: this user may not make a cgroup; the resident memory was measured",
        }
    }

    /// The most bytes that were in use at a time, in the page cache too; `None` where they are not counted.
    pub(super) fn peak(&self) -> Option<u64> {
        match self {
            Self::Cgroup { folders, peak } => read(&folders[0].join(peak)),
            Self::Measured => None,
        }
    }

    /// How many processes the kernel has ended because the memory of the cgroup was exhausted.
    pub(super) fn processes_ended(&self) -> u64 {
        let Self::Cgroup { folders, .. } = self else { return 0 };
        ["memory.oom_control", "memory.events"]
            .iter()
            .filter_map(|file| std::fs::read_to_string(folders[0].join(file)).ok())
            .find_map(|text| text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()))
            .unwrap_or(0)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Self::Cgroup { folders, .. } = self {
            for folder in folders {
                // A process that has not ended yet keeps the folder; it has no effect then.
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

/// Resident bytes of a process and all its descendants.
pub(super) fn resident_bytes(process: u32) -> u64 {
    let mut bytes = 0;
    for process in std::iter::once(process).chain(descendants(process)) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        bytes += resident.and_then(|size| size.trim().parse::<u64>().ok()).unwrap_or(0) * 1024;
    }
    bytes
}

fn make(folder: &Path, limits: &[(&str, &str)]) -> bool {
    if std::fs::create_dir(folder).is_err() {
        return false;
    }
    let is_limited = limits.iter().all(|(file, value)| std::fs::write(folder.join(file), value).is_ok());
    if !is_limited {
        let _ = std::fs::remove_dir(folder);
    }
    is_limited
}

fn read(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
