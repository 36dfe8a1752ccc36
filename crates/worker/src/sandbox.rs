//! What a foreign process may access and use, and its enforcement.

mod files;
mod limits;
mod namespaces;
mod privileges;
mod system_calls;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use files::kernel_isolates;
pub use perennial_core::port::runner::PathAccess;
pub(crate) use privileges::{die_with_parent, hide_memory};
use serde::{Deserialize, Serialize};

use crate::control_group;

/// What a foreign process may access and use. What is not granted is denied, to the process and to all that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Files and folders that it may read and execute, beside the system's libraries and programs. A path that does not
    /// exist is skipped.
    pub readable: Vec<PathBuf>,
    /// Folders below which it may read, write and execute.
    pub writable: Vec<PathBuf>,
    /// One of the writable folders, which it sees as `/tmp`, too, where the kernel permits that and nothing else is granted
    /// below `/tmp`.
    pub temporary: Option<PathBuf>,
    /// The user that it becomes, who gets the writable folders: a number that no person and no other sandbox has. It needs
    /// an administrator's right, and a tree of files of its own: the folders above the granted ones are closed to others.
    pub user: Option<u32>,
    /// The network that it may use.
    pub network: Network,
    /// Whether it may start processes.
    pub processes: Processes,
    /// What it may use.
    pub limits: Limits,
    /// The folder of the [`ControlGroup`](crate::ControlGroup) that it joins, which limits the memory of all its processes.
    pub control_group: Option<PathBuf>,
    /// What happens where the kernel cannot isolate.
    pub requirement: Requirement,
}

/// The network that a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// None: it can connect to nothing, not even to this machine.
    None,
    /// TCP connections to the server. Where the kernel permits no network namespace, also to the same port of other
    /// addresses.
    Server(SocketAddr),
    /// All of it.
    Full,
}

/// Whether a process may start others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processes {
    /// Threads only: for workers of this binary.
    None,
    /// Programs and processes, in the same sandbox.
    Allowed,
}

/// What a process may use. The kernel enforces each of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of the process that holds its data, bytes. Each process that it starts has the same limit of its own, so the
    /// memory of a tree of processes needs a control group or a supervisor.
    pub memory_bytes: Option<u64>,
    /// Processor time of the process in its whole life.
    pub processor_time: Option<Duration>,
    /// Files and sockets that are open at the same time.
    pub open_files: Option<u64>,
    /// Processors that it runs on, rounded up.
    pub processors: Option<f64>,
}

impl Eq for Limits {}

/// What happens where the kernel cannot isolate files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// The process does not start.
    Isolated,
    /// It starts with what the kernel can enforce; the [`Isolation`] says what that is.
    Possible,
}

impl Requirement {
    /// The requirement of a server that may, or may not, run foreign code without isolation.
    pub fn of(may_run_unisolated: bool) -> Self {
        if may_run_unisolated { Self::Possible } else { Self::Isolated }
    }
}

impl Sandbox {
    /// The sandbox of a worker: it reads the system's libraries, writes nothing, has no network and starts no process.
    pub fn worker() -> Self {
        Self {
            readable: Vec::new(),
            writable: Vec::new(),
            temporary: None,
            user: None,
            network: Network::None,
            processes: Processes::None,
            limits: Limits { open_files: Some(256), ..Limits::default() },
            control_group: None,
            requirement: Requirement::Isolated,
        }
    }

    /// The access to `path` that this sandbox gives. It does not depend on the permissions of the file.
    pub fn access(&self, path: &Path) -> PathAccess {
        files::access(self, path)
    }

    /// Puts this process into the sandbox, for good. It must have one thread, and descriptors that it does not need must
    /// be closed.
    pub(crate) fn enter(&self) -> io::Result<Entered> {
        // The files of the hierarchy are not in its own tree.
        self.control_group.as_deref().map(control_group::join).transpose()?;
        let own = namespaces::enter(self)?;
        limits::set(self)?;
        let user = match self.user {
            Some(user) if own.files => privileges::become_user(user, &self.writable)?,
            _ => false,
        };
        privileges::drop_all();
        let landlock = files::restrict(self, own.files)?;
        if landlock.is_none() && self.requirement == Requirement::Isolated {
            return Err(io::Error::other("the kernel has no Landlock, so its access to files cannot be restricted"));
        }
        let has_port_rules = landlock.is_some_and(|version| version >= files::PORT_RULES);
        let is_server_alone = own.network || has_port_rules || self.requirement == Requirement::Possible;
        if matches!(self.network, Network::Server(_)) && !is_server_alone {
            return Err(io::Error::other(
                "the kernel cannot restrict the network to the server: it needs namespaces of users or Linux 6.7",
            ));
        }
        let system_calls = system_calls::restrict(self, own.files)?;
        let isolation = Isolation {
            landlock,
            system_calls,
            network: own.network,
            files: own.files,
            user,
            control_group: self.control_group.is_some(),
        };
        Ok(Entered { isolation, listener: own.listener })
    }
}

/// A sandbox that this process has entered.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) isolation: Isolation,
    /// The listener at the server's address in this process's own network, for a [`Relay`](crate::relay::Relay).
    pub(crate) listener: Option<TcpListener>,
}

/// The isolation that is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The version of Landlock, which restricts access to files.
    pub landlock: Option<u32>,
    /// Whether system calls are filtered.
    pub system_calls: bool,
    /// Whether it has a network namespace of its own.
    pub network: bool,
    /// Whether its tree of files is its own, with `/dev/shm`.
    pub files: bool,
    /// Whether it has a user of its own.
    pub user: bool,
    /// Whether it has a control group of its own.
    pub control_group: bool,
}

impl fmt::Display for Isolation {
    /// As `landlock v7, seccomp, own network, own file tree, own user, own control group`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = self.landlock.map(|version| format!("landlock v{version}"));
        let parts = [
            landlock.as_deref(),
            self.system_calls.then_some("seccomp"),
            self.network.then_some("own network"),
            self.files.then_some("own file tree"),
            self.user.then_some("own user"),
            self.control_group.then_some("own control group"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        // Without it every file can be read: what else is in force isolates nothing.
        f.write_str(if landlock.is_none() { "none".to_owned() } else { parts.join(", ") }.as_str())
    }
}

#[cfg(test)]
mod tests;
