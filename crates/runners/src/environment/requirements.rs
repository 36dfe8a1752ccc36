//! Python packages: resolves requirements to a lock, and installs a lock.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::cache::Cache;
use super::python::Python;
use super::tool::{self, Sandbox};
use crate::error::{Error, Result};
use crate::program;

/// Resolves requirements and installs locks.
pub(crate) struct Installer<'a> {
    python: &'a Python,
    tool: Tool,
    sandbox: Sandbox,
    /// The folder of downloads.
    downloads: PathBuf,
    /// The folder of temporary files, in which wheels are built.
    temporary: TempFolder,
}

/// The tool that resolves and installs.
enum Tool {
    /// `uv`, by the command that starts it: a program on PATH, or a module of the interpreter.
    Uv(Vec<String>),
    /// `pip` and `venv` of the interpreter.
    Pip,
}

impl<'a> Installer<'a> {
    /// Uses `uv` on the cache's path or in `python` if there is one, else `pip`.
    pub(crate) fn find(python: &'a Python, cache: &Cache) -> Result<Self> {
        let mut readable = python.folders();
        let tool = if let Ok(uv) = program::find("uv", cache.path(), Path::new("/")) {
            readable.extend(program::installation(&uv));
            Tool::Uv(vec![uv.to_string_lossy().into_owned()])
        } else {
            let words: Vec<String> = [&python.executable.to_string_lossy(), "-m", "uv"].map(str::to_owned).into();
            let version = tool::query(command(&words).arg("--version"));
            if matches!(version, Ok(Ok(_))) { Tool::Uv(words) } else { Tool::Pip }
        };
        let (downloads, temporary) = (cache.downloads()?, TempFolder::new(cache)?);
        let sandbox = Sandbox { writable: vec![downloads.clone(), temporary.0.clone()], readable };
        Ok(Self { python, tool, sandbox, downloads, temporary })
    }

    /// The lock of `requirements`: every package with its version and hashes.
    pub(crate) fn resolve(&self, requirements: &str) -> Result<String> {
        let mut resolve = match &self.tool {
            Tool::Uv(words) => {
                let mut resolve = command(words);
                resolve.args(["pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"]);
                resolve.arg("--python").arg(&self.python.executable);
                resolve
            }
            Tool::Pip => {
                let mut resolve = Command::new(&self.python.executable);
                resolve.args(["-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]);
                resolve.args(["--disable-pip-version-check", "--no-input", "--report", "-", "-r", "/dev/stdin"]);
                resolve
            }
        };
        let output = self.run(&self.sandbox, &mut resolve, requirements)?.map_err(Error::Resolve)?;
        match self.tool {
            Tool::Uv(_) => Ok(output),
            Tool::Pip => lock_of_report(&output),
        }
    }

    /// Creates the environment of `lock` in `folder`, which exists and is empty.
    pub(crate) fn install(&self, lock: &str, folder: &Path) -> Result<()> {
        let inside = folder.join("bin/python");
        let (mut create, mut fill) = match &self.tool {
            Tool::Uv(words) => {
                let mut create = command(words);
                create.args(["venv", "--quiet", "--no-project", "--allow-existing", "--python"]);
                create.arg(&self.python.executable).arg(folder);
                let mut fill = command(words);
                fill.args(["pip", "sync", "-", "--quiet", "--python"]).arg(&inside);
                (create, fill)
            }
            Tool::Pip => {
                let mut create = Command::new(&self.python.executable);
                create.args(["-I", "-m", "venv"]).arg(folder);
                let mut fill = Command::new(&inside);
                fill.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
                fill.args(["--no-input", "-r", "/dev/stdin"]);
                (create, fill)
            }
        };
        let mut sandbox = self.sandbox.clone();
        sandbox.writable.push(folder.to_owned());
        self.run(&sandbox, &mut create, "")?.map_err(Error::Install)?;
        if lock.trim().is_empty() {
            return Ok(());
        }
        self.run(&sandbox, &mut fill, lock)?.map_err(Error::Install)?;
        Ok(())
    }

    fn run(&self, sandbox: &Sandbox, command: &mut Command, input: &str) -> Result<Result<String, String>> {
        let caches = [("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")];
        let caches = caches.map(|(name, folder)| (name, self.downloads.join(folder)));
        sandbox.run(command.current_dir("/"), &[&caches[..], &[("TMPDIR", self.temporary.0.clone())]].concat(), input)
    }
}

/// A folder that is removed with its installer.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new(cache: &Cache) -> Result<Self> {
        let folder = cache.temporary();
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(Self(folder))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}

/// The part of pip's installation report that a lock needs.
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

/// Converts pip's report to requirements with versions and hashes, sorted by name. Because pip accepts hashes only
/// for all packages, none is written if one package has none.
fn lock_of_report(report: &str) -> Result<String> {
    let report: Report = serde_json::from_str(report).map_err(|error| Error::Resolve(error.to_string()))?;
    let mut packages: Vec<(String, String, Option<String>)> = report
        .install
        .into_iter()
        .map(|Install { metadata, download_info }| {
            let hash = download_info.archive_info.and_then(|archive| archive.hashes.get("sha256").cloned());
            (metadata.name.to_lowercase().replace('_', "-"), metadata.version, hash)
        })
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
