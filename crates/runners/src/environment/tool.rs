//! Runs tools of the machine: `uv`, `pip`, interpreters.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use perennial_core::port::runner::{Exit, JobEnd, Limits};
use perennial_core::text::one_line;
use perennial_worker::{ControlGroups, Limits as ProcessLimits, Network, Processes, Program, Requirement, Sandbox};
use rustix::process::{Pid, Signal, kill_process_group};

use super::cache::Cache;
use crate::error::{Error, Result};
use crate::launch::{self, LaunchSpec};

/// Time limit of queries, which need no network.
const QUERY_TIMEOUT: Duration = Duration::from_mins(1);

/// Time limit of resolving and installing packages.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(30);

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Memory limit of a tool and all its processes, bytes.
const MEMORY_MAX_BYTES: u64 = 8 << 30;

/// Limit of what a tool prints, and of what is read of it, bytes. The rest is dropped.
const LOG_MAX_BYTES: u64 = 1 << 20;

/// Limit of a file that a tool writes as its result, bytes: a lock has about 100 bytes for each file of a package.
const RESULT_MAX_BYTES: u64 = 64 << 20;

/// Limit of a tool's error text, characters.
const ERROR_TEXT_MAX: usize = 800;

/// Environment variables passed to a tool: locations of programs, packages and certificates, and proxies.
const PASSED_VARIABLES: &[&str] = &[
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// Settings of `pip` and `uv`; relative paths are below the home folder.
const SETTINGS: &[&str] =
    &[".config/pip", ".pip", ".config/uv", "/etc/pip.conf", "/etc/xdg/pip", "/etc/uv", "/etc/xdg/uv"];

/// The folder of one use of a tool, which is removed with it. The tool writes in its part `work` only.
pub(crate) struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    pub(crate) fn new(cache: &Cache) -> Result<Self> {
        let workspace = Self { folder: cache.temporary() };
        let work = workspace.work();
        fs::create_dir_all(&work).map_err(Error::io(&work))?;
        Ok(workspace)
    }

    /// The folder that the tool may write.
    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// A new folder beside `work`, for one build.
    pub(super) fn build_folder(&self, number: usize) -> Result<PathBuf> {
        let folder = self.folder.join("builds").join(number.to_string());
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// A file for the tool to read or write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file for the tool to read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, text).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// Reads a file that the tool wrote.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let path = self.file(name);
        read_file(&path).map_err(Error::io(&path))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Opens a file that a tool wrote. A link is refused: it may lead to a file of the server.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(file)
}

/// The text of a file that a tool wrote.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    let file = open_file(path)?;
    let mut text = String::new();
    file.take(RESULT_MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > RESULT_MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", RESULT_MAX_BYTES >> 20)));
    }
    Ok(text)
}

/// Starts tools.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    /// The binary that is called with [`LAUNCH_ARGUMENT`](crate::LAUNCH_ARGUMENT).
    pub(crate) binary: PathBuf,
    /// What happens on a kernel that cannot isolate.
    pub(crate) requirement: Requirement,
    /// Where tools get control groups.
    pub(crate) control_groups: Option<ControlGroups>,
}

/// A tool in a sandbox.
pub(crate) struct Tool<'a> {
    /// Starts it.
    pub(crate) launcher: &'a Launcher,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Variables beside those that are passed on.
    pub(crate) variables: Vec<(&'static str, PathBuf)>,
    /// Folders that it may write, beside that of its temporary files.
    pub(crate) writable: Vec<PathBuf>,
    /// Paths that it may read, beside the system's paths.
    pub(crate) readable: Vec<PathBuf>,
    /// What it gets of the server.
    pub(crate) access: Access,
}

/// What a tool gets of the server.
pub(crate) enum Access {
    /// The network, and the settings of `pip` and `uv` with the passwords of package indexes.
    Indexes,
    /// Nothing: it runs code of a package. It may write this folder, as a user of its own where the server can give it one.
    Nothing {
        /// The folder.
        folder: PathBuf,
        /// The user.
        user: u32,
    },
}

impl Tool<'_> {
    /// Runs the tool to its end, with the limits of a step and only its own and the passed variables in its environment.
    /// Returns its error text, in one line, if it fails.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<Result<(), String>> {
        let (folder, user, network) = match self.access {
            // Its downloads are shared.
            Access::Indexes => (workspace.work(), None, Network::Full),
            Access::Nothing { folder, user } => (folder, Some(user), Network::None),
        };
        let mut sandbox = Sandbox {
            readable: self.readable,
            writable: self.writable,
            temporary: Some(folder.clone()),
            user,
            network,
            processes: Processes::Allowed,
            limits: ProcessLimits::default(),
            control_group: None,
            requirement: self.launcher.requirement,
        };
        sandbox.writable.push(folder.clone());
        let mut environment = match sandbox.network {
            Network::None => BTreeMap::from([("HOME".to_owned(), folder.display().to_string())]),
            _ => index_settings(&mut sandbox),
        };
        environment.insert("TMPDIR".to_owned(), folder.display().to_string());
        let variables = self.variables.iter().map(|(name, value)| ((*name).to_owned(), value.display().to_string()));
        environment.extend(variables);
        let (name, log) = (self.argv.first().cloned().unwrap_or_default(), workspace.folder.join("log"));
        let spec = LaunchSpec {
            program: Program {
                file: PathBuf::from(&name),
                argv: self.argv,
                folder: PathBuf::from("/"),
                environment,
                sandbox,
            },
            temporary: workspace.folder.join("temporary"),
            limits: Limits { time: Some(INSTALL_TIMEOUT), memory_bytes: Some(MEMORY_MAX_BYTES), cpus: None },
            control_groups: self.launcher.control_groups.clone(),
            grace: GRACE,
            log: log.clone(),
            log_max_bytes: LOG_MAX_BYTES,
            end: workspace.folder.join("end.json"),
        };
        let outcome = match launch::run_blocking(&self.launcher.binary, &spec)? {
            JobEnd::Exited(outcome) => outcome,
            JobEnd::NotStarted(reason) => return Ok(Err(reason)),
            JobEnd::EndedWithServer => return Err(Error::Launcher("the server ends".to_owned())),
        };
        Ok(match outcome.exit {
            Exit::Code(0) => Ok(()),
            Exit::TimeLimit => return Err(Error::Slow { tool: name, seconds: INSTALL_TIMEOUT.as_secs() }),
            Exit::MemoryLimit => Err(format!("it needs more than {} GiB of memory", MEMORY_MAX_BYTES >> 30)),
            Exit::Code(_) | Exit::Signal(_) | Exit::Cancelled => {
                Err(end_of_errors(&end_of(&log).map_err(Error::io(&log))?))
            }
        })
    }
}

/// The variables of a tool that uses indexes. Their files become readable.
fn index_settings(sandbox: &mut Sandbox) -> BTreeMap<String, String> {
    let home = std::env::home_dir().unwrap_or_default();
    sandbox.readable.extend(SETTINGS.iter().map(|path| home.join(path)));
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars() {
        let upper = name.to_ascii_uppercase();
        if upper.starts_with("PIP_") || upper.starts_with("UV_") || PASSED_VARIABLES.contains(&upper.as_str()) {
            // A setting may name a file or folder that the tool must read.
            let path = PathBuf::from(&value);
            sandbox.readable.extend(Some(path).filter(|path| path.is_absolute() && upper != "HOME"));
            environment.insert(name, value);
        }
    }
    environment
}

/// The end of a log.
fn end_of(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(8 * ERROR_TEXT_MAX as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs a tool that needs neither input nor network and no code of people; returns its standard output, or its error
/// text.
pub(crate) fn query(command: &mut Command) -> Result<Result<String, String>> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(Error::io(tool.as_ref()))?;
    finish(started, tool)
}

fn finish(mut child: Child, tool: String) -> Result<Result<String, String>> {
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    // Both pipes close when the tool and all processes it started have ended.
    let (Ok(output), Ok(errors)) = (output.recv_timeout(QUERY_TIMEOUT), errors.recv_timeout(QUERY_TIMEOUT)) else {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
        return Err(Error::Slow { tool, seconds: QUERY_TIMEOUT.as_secs() });
    };
    let status = child.wait().map_err(Error::io(tool.as_ref()))?;
    Ok(if status.success() { Ok(output) } else { Err(end_of_errors(&errors)) })
}

/// Reads a pipe to its end and keeps the first part.
fn drain(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.by_ref().take(LOG_MAX_BYTES).read_to_end(&mut bytes);
            let _ = io::copy(&mut from, &mut io::sink());
        }
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// Joins the lines of an error text, removes box-drawing characters and keeps its end.
fn end_of_errors(text: &str) -> String {
    let is_drawing = |word: &str| word.chars().all(|c| matches!(c, '×' | '╰' | '─' | '▶' | '│' | '├' | '·'));
    let words: Vec<&str> = text.split_whitespace().filter(|word| !is_drawing(word)).collect();
    let line = one_line(&words.join(" "));
    let skipped = line.chars().count().saturating_sub(ERROR_TEXT_MAX);
    if skipped == 0 { line } else { format!("… {}", line.chars().skip(skipped).collect::<String>()) }
}

#[cfg(test)]
mod tests;
