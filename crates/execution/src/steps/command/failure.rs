//! The error of a command that failed.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use perennial_core::port::runner::{Exit, JobSpec, Outcome, PathAccess, Runner};
use perennial_core::{Error, ErrorCode, Result};

use super::Attempt;

#[cfg(test)]
mod tests;

/// Lines of a log that an error repeats.
const LOG_TAIL_LINES: usize = 12;

/// Bytes at the end of a log that are searched for a denied path.
const LOG_TAIL_BYTES: u64 = 64 * 1024;

impl Attempt<'_> {
    /// The error of a command that ended with `outcome`.
    pub(super) async fn failure(&self, job: JobSpec, outcome: Outcome) -> Result<Error> {
        let (runner, exit) = (self.context.caller.kernel.services.runner.clone(), outcome.exit.clone());
        let read = move || {
            let log = read_tail(&job.log);
            let is_isolated = outcome.isolation != "none";
            let denied = is_isolated.then(|| denied_path(&*runner, &job, &log)).flatten();
            Ok((log, denied))
        };
        let (log, denied) = self.context.caller.kernel.run_blocking_short(read).await?;
        let how = match &exit {
            Exit::Code(code) => format!("exited with status {code}"),
            Exit::Signal(signal) => format!("was killed by signal {signal}"),
            Exit::TimeLimit => "ran into its time limit and was stopped".to_owned(),
            Exit::MemoryLimit => {
                let limit = self.run.limits.memory.map(|limit| format!(" of {limit}")).unwrap_or_default();
                format!("ran into its memory limit{limit} and was stopped")
            }
            Exit::Cancelled => "was cancelled".to_owned(),
        };
        let message = format!("`{}` of step `{}` {how}", self.run.argv.join(" "), self.step);
        let next = match (exit, denied) {
            (Exit::TimeLimit, _) => "raise `limits.time` of the step, or give it less to do".to_owned(),
            (Exit::MemoryLimit, _) => "raise `limits.memory` of the step, or give it less to do".to_owned(),
            (_, Some(path)) => format!(
                "the step may not access `{}`: a step reads only what it declares in `inputs` and `code`, and writes \
                 only in its own folder; declare what it needs",
                path.display()
            ),
            (_, None) => format!("the whole log: `perennial logs {}`", self.step),
        };
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        let hint = if tail.is_empty() { next } else { format!("its last lines:\n{tail}\n{next}") };
        Ok(Error::new(ErrorCode::StepFailed, message).with_hint(hint))
    }
}

/// The end of a log; empty when it cannot be read.
fn read_tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last path in the log that exists, or whose folder does, and that the job's isolation denies.
fn denied_path(runner: &dyn Runner, job: &JobSpec, log: &str) -> Option<PathBuf> {
    let is_denied = |path: &PathBuf| runner.access(job, path) == PathAccess::Denied;
    log.lines().rev().flat_map(paths_in).filter_map(|path| resolve(&job.folder.join(path))).find(is_denied)
}

/// The path without links; `None` when neither it nor its folder exists.
fn resolve(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    let folder = path.parent()?.canonicalize().ok()?;
    // Text such as `/metrics` looks like a path in the root folder.
    Some(folder.join(path.file_name()?)).filter(|_| folder.parent().is_some())
}

/// The parts of a line that may be paths outside of the working folder: absolute, or with `..` at the start.
fn paths_in(line: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    let mut before = ' ';
    let mut end = 0;
    for (at, character) in line.char_indices() {
        let is_start = at >= end && (character == '/' || line[at..].starts_with("../"));
        if is_start && !before.is_alphanumeric() && !matches!(before, '/' | '.' | '-' | '_' | '~') {
            let is_end = |c: char| match before {
                '\'' | '"' | '`' => c == before,
                _ => c.is_whitespace() || matches!(c, '\'' | '"' | '`' | ':' | ',' | ';' | ')' | ']' | '>'),
            };
            end = line[at..].find(is_end).map_or(line.len(), |length| at + length);
            let path = &line[at..end];
            if path.len() > 1 && !path.starts_with("//") {
                paths.push(path);
            }
        }
        before = character;
    }
    paths
}
