//! Tools of the machine that are asked for something: `uv`, `pip`, interpreters.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// For questions that need no network.
pub(crate) const QUICK: Duration = Duration::from_secs(60);

/// For resolving and installing packages.
pub(crate) const SLOW: Duration = Duration::from_secs(30 * 60);

/// What of a tool's complaint is shown, characters.
const COMPLAINT_MAX: usize = 800;

/// Runs the tool to its end: its standard output, or its complaint in one line.
pub(crate) fn run(
    command: &mut Command,
    input: Option<&str>,
    limit: Duration,
) -> Result<Result<String, String>> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io(command.get_program().as_ref()))?;
    let output = drain(child.stdout.take());
    let complaint = drain(child.stderr.take());
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A tool that fails early does not read its input; its status tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let slow = |mut child: Child| {
        let _ = child.kill();
        let _ = child.wait();
        Error::Slow {
            tool: tool.clone(),
            seconds: limit.as_secs(),
        }
    };
    // The output ends when the tool and all it started have ended.
    let Ok(output) = output.recv_timeout(limit) else {
        return Err(slow(child));
    };
    let Ok(complaint) = complaint.recv_timeout(limit) else {
        return Err(slow(child));
    };
    let status = child.wait().map_err(Error::io(tool.as_ref()))?;
    Ok(if status.success() {
        Ok(output)
    } else {
        Err(one_line(&complaint))
    })
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
        .filter(|word| {
            !word
                .chars()
                .all(|c| matches!(c, '×' | '╰' | '─' | '▶' | '│' | '├' | '·'))
        })
        .collect();
    let line = words.join(" ");
    let skipped = line.chars().count().saturating_sub(COMPLAINT_MAX);
    if skipped == 0 {
        line
    } else {
        format!("… {}", line.chars().skip(skipped).collect::<String>())
    }
}
