//! Records of jobs on disk, for a restart of the server.
//!
//! `<root>/<job>/job.json` identifies the launcher's process, `end.json` is how the job ended. A job cannot access
//! these files; beside them is a folder for its temporary files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::JobEnd;
use perennial_worker::process_tree;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The environment variable of a launcher that has the token of its job.
pub(crate) const TOKEN_VARIABLE: &str = "PERENNIAL_JOB_TOKEN";

/// Interval at which the end of a killed process is polled.
const POLL: Duration = Duration::from_millis(20);

/// Polls until a launcher without processes is killed, too; until then it removes its temporary folder.
const POLLS_MAX: u32 = 500;

/// The process that runs a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    /// Process id of the launcher.
    pub(crate) pid: i32,
    /// Its start time, in clock ticks since the start of the system. Another process of the same id has another one.
    pub(crate) start_ticks: u64,
    /// A secret in the launcher's environment: after a restart of the system, another process may have the same id and
    /// start time.
    pub(crate) token: String,
}

impl JobRecord {
    /// The record of a launcher that runs.
    pub(crate) fn of(pid: u32, token: String) -> Result<Self> {
        let pid = pid as i32;
        let start_ticks = start_ticks(pid).ok_or_else(|| Error::Launcher("it has no start time".to_owned()))?;
        Ok(Self { pid, start_ticks, token })
    }

    /// The launcher's process, if it still runs.
    fn process(&self) -> Option<Pid> {
        let variable = format!("{TOKEN_VARIABLE}={}", self.token);
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let has_token = environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
        let is_same = has_token && start_ticks(self.pid) == Some(self.start_ticks);
        Pid::from_raw(self.pid).filter(|_| is_same)
    }

    /// Kills every process of the job, if one still runs. Blocks until all have ended.
    pub(crate) fn kill(&self) {
        for poll in 0.. {
            let Some(launcher) = self.process() else { return };
            // The launcher adopts orphans; when none is left it ends by itself.
            process_tree::kill_below(launcher);
            if poll > POLLS_MAX {
                // Fails when the process has ended.
                let _ = kill_process(launcher, Signal::KILL);
            }
            thread::sleep(POLL);
        }
    }
}

/// The start time of a process: field 22 of `stat`. The second field, the name in parentheses, may contain anything.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The records of all jobs.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    root: PathBuf,
}

impl Records {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The file that receives how the job ended.
    pub(crate) fn end_path(&self, id: RunnerJobId) -> PathBuf {
        self.folder(id).join("end.json")
    }

    /// The folder for temporary files of the job, which it may access.
    pub(crate) fn temporary_path(&self, id: RunnerJobId) -> PathBuf {
        self.folder(id).join("temporary")
    }

    fn folder(&self, id: RunnerJobId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Creates the record of a job that is submitted; `false` when there is one.
    pub(crate) fn create(&self, id: RunnerJobId) -> Result<bool> {
        fs::create_dir_all(&self.root).map_err(Error::io(&self.root))?;
        let folder = self.folder(id);
        match fs::create_dir(&folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io(&folder)(error)),
        }
    }

    /// Stores the process of a job.
    pub(crate) fn put(&self, id: RunnerJobId, record: &JobRecord) -> Result<()> {
        let path = self.folder(id).join("job.json");
        write(&path, record).map_err(Error::io(&path))
    }

    /// Whether there is a record of a job.
    pub(crate) fn exists(&self, id: RunnerJobId) -> bool {
        self.folder(id).exists()
    }

    /// The process of a job; `None` when the server died before it started one.
    pub(crate) fn process(&self, id: RunnerJobId) -> Option<JobRecord> {
        read(&self.folder(id).join("job.json"))
    }

    /// How a job ended, if that is known.
    pub(crate) fn end(&self, id: RunnerJobId) -> Option<JobEnd> {
        read(&self.end_path(id))
    }

    /// Stores how a job ended.
    pub(crate) fn put_end(&self, id: RunnerJobId, end: &JobEnd) -> Result<()> {
        let path = self.end_path(id);
        write(&path, end).map_err(Error::io(&path))
    }

    /// Removes the record of a job; a missing one counts as removed.
    pub(crate) fn remove(&self, id: RunnerJobId) -> Result<()> {
        let folder = self.folder(id);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&folder)(error)),
            _ => Ok(()),
        }
    }
}

/// Writes a file atomically. It is not synced: a power failure ends every job.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let temporary = path.with_extension("unfinished");
    fs::write(&temporary, serde_json::to_vec(value)?)?;
    fs::rename(&temporary, path)
}

/// The value of a file; `None` when the file is missing or damaged.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
