//! Runs tools of the machine: `uv`, `pip`, interpreters.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Error, Result};
use crate::launch::isolation;

/// Time limit of queries, which need no network.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_mins(1);

/// Time limit of resolving and installing packages.
pub(crate) const INSTALL_TIMEOUT: Duration = Duration::from_mins(30);

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

/// The paths a tool may access. Building a package runs the package's code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandbox {
    /// Folders the tool may write.
    pub(crate) writable: Vec<PathBuf>,
    /// Paths the tool may read, beside the system's paths and the settings of `pip` and `uv`.
    pub(crate) readable: Vec<PathBuf>,
}

impl Sandbox {
    /// Runs the tool to its end, isolated like a step and with only `variables` and the passed variables in its
    /// environment. Returns its standard output, or its error text in one line.
    pub(crate) fn run(
        &self,
        command: &mut Command,
        variables: &[(&str, PathBuf)],
        input: &str,
    ) -> Result<Result<String, String>> {
        let mut readable = self.readable.clone();
        let home = std::env::home_dir().unwrap_or_default();
        readable.extend(SETTINGS.iter().map(|path| home.join(path)));
        command.env_clear();
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            if text.starts_with("PIP_") || text.starts_with("UV_") || PASSED_VARIABLES.contains(&text.as_str()) {
                // A setting may name a file or folder that the tool must read.
                readable.extend(Some(PathBuf::from(&value)).filter(|path| path.is_absolute() && text != "HOME"));
                command.env(name, value);
            }
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let writable: Vec<&Path> = self.writable.iter().map(PathBuf::as_path).collect();
        let started = thread::scope(|scope| {
            let started = scope.spawn(|| {
                isolation::isolate(&writable, &readable).map_err(io::Error::other)?;
                // Fails unless this process has capabilities, which only root does.
                let _ = isolation::drop_capabilities();
                start(command, true)
            });
            started.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts the tool panicked")))
        });
        let tool = command.get_program().to_string_lossy().into_owned();
        finish(started.map_err(Error::io(tool.as_ref()))?, tool, Some(input), INSTALL_TIMEOUT)
    }
}

/// Runs a tool that needs neither input nor network; returns its standard output, or its error text.
pub(crate) fn query(command: &mut Command) -> Result<Result<String, String>> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let child = start(command, false).map_err(Error::io(tool.as_ref()))?;
    finish(child, tool, None, QUERY_TIMEOUT)
}

fn start(command: &mut Command, has_input: bool) -> io::Result<Child> {
    command
        .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn finish(mut child: Child, tool: String, input: Option<&str>, limit: Duration) -> Result<Result<String, String>> {
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A tool that fails early closes its input; its exit status reports the failure.
        let _ = stdin.write_all(input.as_bytes());
    }
    // Both pipes close when the tool and all processes it started have ended.
    let (Ok(output), Ok(errors)) = (output.recv_timeout(limit), errors.recv_timeout(limit)) else {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
        return Err(Error::Slow { tool, seconds: limit.as_secs() });
    };
    let status = child.wait().map_err(Error::io(tool.as_ref()))?;
    Ok(if status.success() { Ok(output) } else { Err(one_line(&errors)) })
}

fn drain(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// Joins the lines of an error text, removes box-drawing characters and keeps its end.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !word.chars().all(|c| matches!(c, '×' | '╰' | '─' | '▶' | '│' | '├' | '·')))
        .collect();
    let line = words.join(" ");
    let skipped = line.chars().count().saturating_sub(ERROR_TEXT_MAX);
    if skipped == 0 { line } else { format!("… {}", line.chars().skip(skipped).collect::<String>()) }
}

#[cfg(test)]
mod tests;
