//! Python packages: from requirements to a lock, from a lock to an environment.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::python::Python;
use super::tool;
use crate::error::{Error, Result};
use crate::program;

/// What resolves and installs.
pub(crate) enum Installer<'a> {
    /// `uv` on PATH, or as a module of the interpreter.
    Uv {
        /// The interpreter.
        python: &'a Python,
        /// The words that start it.
        words: Vec<String>,
    },
    /// The interpreter's own `pip` and `venv`.
    Pip {
        /// The interpreter.
        python: &'a Python,
    },
}

impl<'a> Installer<'a> {
    /// `uv` on `path` or in `python` where there is one, else `pip`.
    pub(crate) fn find(python: &'a Python, path: &str) -> Self {
        if let Ok(uv) = program::find("uv", path, Path::new("/")) {
            return Self::Uv {
                python,
                words: vec![uv.to_string_lossy().into_owned()],
            };
        }
        let words: Vec<String> = [&python.executable.to_string_lossy(), "-m", "uv"]
            .map(str::to_owned)
            .into();
        let answers = tool::run(command(&words).arg("--version"), None, tool::QUICK);
        if matches!(answers, Ok(Ok(_))) {
            Self::Uv { python, words }
        } else {
            Self::Pip { python }
        }
    }

    /// The lock of `requirements`: every package with its version and hashes.
    pub(crate) fn resolve(&self, requirements: &str) -> Result<String> {
        match self {
            Self::Uv { python, words } => {
                let mut command = command(words);
                command.args([
                    "pip",
                    "compile",
                    "-",
                    "--quiet",
                    "--no-header",
                    "--no-annotate",
                    "--generate-hashes",
                ]);
                command
                    .arg("--python")
                    .arg(&python.executable)
                    .current_dir("/");
                tool::run(&mut command, Some(requirements), tool::SLOW)?.map_err(Error::Resolve)
            }
            Self::Pip { python } => {
                let mut command = Command::new(&python.executable);
                command.args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--dry-run",
                    "--ignore-installed",
                ]);
                command.args([
                    "--disable-pip-version-check",
                    "--no-input",
                    "--report",
                    "-",
                    "-r",
                    "/dev/stdin",
                ]);
                command.current_dir("/");
                let report = tool::run(&mut command, Some(requirements), tool::SLOW)?
                    .map_err(Error::Resolve)?;
                lock_of_report(&report)
            }
        }
    }

    /// Makes the environment of `lock` in `folder`.
    pub(crate) fn install(&self, lock: &str, folder: &Path) -> Result<()> {
        let inside = folder.join("bin/python");
        let (mut create, mut fill) = match self {
            Self::Uv { python, words } => {
                let mut create = command(words);
                create
                    .args(["venv", "--quiet", "--no-project", "--python"])
                    .arg(&python.executable)
                    .arg(folder);
                let mut fill = command(words);
                fill.args(["pip", "sync", "-", "--quiet", "--python"])
                    .arg(&inside);
                (create, fill)
            }
            Self::Pip { python } => {
                let mut create = Command::new(&python.executable);
                create.args(["-I", "-m", "venv"]).arg(folder);
                let mut fill = Command::new(&inside);
                fill.args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--disable-pip-version-check",
                    "--no-input",
                ]);
                fill.args(["-r", "/dev/stdin"]);
                (create, fill)
            }
        };
        tool::run(create.current_dir("/"), None, tool::SLOW)?.map_err(Error::Install)?;
        if lock.lines().all(|line| line.trim().is_empty()) {
            return Ok(());
        }
        tool::run(fill.current_dir("/"), Some(lock), tool::SLOW)?.map_err(Error::Install)?;
        Ok(())
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}

/// What of pip's installation report makes a lock.
#[derive(Deserialize)]
struct Report {
    install: Vec<Install>,
}

#[derive(Deserialize)]
struct Install {
    metadata: Metadata,
    download_info: DownloadInfo,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct DownloadInfo {
    #[serde(default)]
    archive_info: Option<ArchiveInfo>,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
}

/// pip's report as requirements with versions and hashes, sorted by name. Hashes are all or
/// nothing for pip: with one package that has none, none is written.
fn lock_of_report(report: &str) -> Result<String> {
    let report: Report =
        serde_json::from_str(report).map_err(|error| Error::Resolve(error.to_string()))?;
    let mut packages: Vec<(String, String, Option<String>)> = report
        .install
        .into_iter()
        .map(
            |Install {
                 metadata,
                 download_info,
             }| {
                let hash = download_info
                    .archive_info
                    .and_then(|archive| archive.hashes.get("sha256").cloned());
                (
                    metadata.name.to_lowercase().replace('_', "-"),
                    metadata.version,
                    hash,
                )
            },
        )
        .collect();
    packages.sort();
    let is_hashed = packages.iter().all(|(_, _, hash)| hash.is_some());
    let mut lock = String::new();
    for (name, version, hash) in packages {
        // Writing to a String cannot fail.
        let _ = match hash.filter(|_| is_hashed) {
            Some(hash) => writeln!(lock, "{name}=={version} --hash=sha256:{hash}"),
            None => writeln!(lock, "{name}=={version}"),
        };
    }
    Ok(lock)
}

#[cfg(test)]
mod tests;
