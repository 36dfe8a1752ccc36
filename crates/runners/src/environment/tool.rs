//! Tools of the machine that are asked for something: `uv`, `pip`, interpreters.

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

/// For questions that need no network.
pub(crate) const QUICK: Duration = Duration::from_mins(1);

/// For resolving and installing packages.
pub(crate) const SLOW: Duration = Duration::from_mins(30);

/// What of a tool's complaint is shown, characters.
const COMPLAINT_MAX: usize = 800;

/// Variables that a tool keeps: where programs, packages and certificates are, and the way to them.
const KEPT: &[&str] = &[
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

/// Where people and machines keep settings of `pip` and `uv`, below the home or as they are.
const SETTINGS: &[&str] =
    &[".config/pip", ".pip", ".config/uv", "/etc/pip.conf", "/etc/xdg/pip", "/etc/uv", "/etc/xdg/uv"];

/// What a tool may reach while it runs code of packages, which it does when it builds one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// Folders it may write.
    pub(crate) writable: Vec<PathBuf>,
    /// Paths it may read, beside the system's and settings of `pip` and `uv`.
    pub(crate) readable: Vec<PathBuf>,
}

impl Room {
    /// Runs the tool to its end, isolated as a step is and without the server's secrets in its
    /// environment, but with `variables`: its standard output, or its complaint in one line.
    pub(crate) fn run(
        &self,
        command: &mut Command,
        variables: &[(&str, PathBuf)],
        input: &str,
    ) -> Result<Result<String, String>> {
        let mut readable = self.readable.clone();
        let home = std::env::home_dir().unwrap_or_default();
        readable.extend(SETTINGS.iter().map(|place| home.join(place)));
        command.env_clear();
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            if text.starts_with("PIP_") || text.starts_with("UV_") || KEPT.contains(&text.as_str()) {
                // Settings that name a file or folder make it readable.
                readable.extend(Some(PathBuf::from(&value)).filter(|path| path.is_absolute() && text != "HOME"));
                command.env(name, value);
            }
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let writable: Vec<&Path> = self.writable.iter().map(PathBuf::as_path).collect();
        let born = thread::scope(|scope| {
            let born = scope.spawn(|| {
                isolation::isolate(&writable, &readable).map_err(io::Error::other)?;
                // Only root has something to give up, and is allowed to.
                let _ = isolation::drop_capabilities();
                start(command, true)
            });
            born.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread died")))
        });
        let tool = command.get_program().to_string_lossy().into_owned();
        finish(born.map_err(Error::io(tool.as_ref()))?, tool, Some(input), SLOW)
    }
}

/// Asks a tool a question that it answers by itself.
pub(crate) fn ask(command: &mut Command) -> Result<Result<String, String>> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let child = start(command, false).map_err(Error::io(tool.as_ref()))?;
    finish(child, tool, None, QUICK)
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
    let complaint = drain(child.stderr.take());
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A tool that fails early does not read its input; its status tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    // Both end when the tool and all it started have ended.
    let (Ok(output), Ok(complaint)) = (output.recv_timeout(limit), complaint.recv_timeout(limit)) else {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
        return Err(Error::Slow { tool, seconds: limit.as_secs() });
    };
    let status = child.wait().map_err(Error::io(tool.as_ref()))?;
    Ok(if status.success() { Ok(output) } else { Err(one_line(&complaint)) })
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

/// A complaint of several lines in one, from its end, without drawing.
fn one_line(complaint: &str) -> String {
    let words: Vec<&str> = complaint
        .split_whitespace()
        .filter(|word| !word.chars().all(|c| matches!(c, '×' | '╰' | '─' | '▶' | '│' | '├' | '·')))
        .collect();
    let line = words.join(" ");
    let skipped = line.chars().count().saturating_sub(COMPLAINT_MAX);
    if skipped == 0 { line } else { format!("… {}", line.chars().skip(skipped).collect::<String>()) }
}

#[cfg(test)]
mod tests;
