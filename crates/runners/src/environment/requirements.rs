//! Python packages: resolves requirements to a lock, and installs a lock.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::builds;
use super::cache::Cache;
use super::python::Python;
use super::tool::{self, Access, Launcher, Tool, Workspace};
use super::wheels::{self, Builds, Requirements};
use crate::error::{Error, Result};
use crate::program;

/// Resolves requirements and installs locks.
pub(crate) struct Installer<'a> {
    pub(super) python: &'a Python,
    kind: Kind,
    pub(super) cache: &'a Cache,
    pub(super) launcher: &'a Launcher,
    /// Paths that the tool reads.
    pub(super) readable: Vec<PathBuf>,
    /// The folder of downloads.
    downloads: PathBuf,
    pub(super) workspace: Workspace,
}

/// The tool that resolves and installs.
enum Kind {
    /// `uv`, by the command that starts it: a program on PATH, or a module of the interpreter.
    Uv(Vec<String>),
    /// `pip` and `venv` of the interpreter.
    Pip,
}

impl<'a> Installer<'a> {
    /// Uses `uv` on the cache's path or in `python` if there is one, else `pip`.
    pub(crate) fn find(python: &'a Python, cache: &'a Cache, launcher: &'a Launcher) -> Result<Self> {
        let mut readable = python.folders();
        let kind = if let Ok(uv) = program::find("uv", cache.path(), Path::new("/")) {
            readable.extend(program::installation(&uv));
            Kind::Uv(vec![uv.to_string_lossy().into_owned()])
        } else {
            let words: Vec<String> = [&python.executable.to_string_lossy(), "-m", "uv"].map(str::to_owned).into();
            let version = tool::query(Command::new(&python.executable).args(["-m", "uv", "--version"]));
            if matches!(version, Ok(Ok(_))) { Kind::Uv(words) } else { Kind::Pip }
        };
        let (downloads, workspace) = (cache.downloads()?, Workspace::new(cache)?);
        Ok(Self { python, kind, cache, launcher, readable, downloads, workspace })
    }

    /// The lock of requirements: every package with its version and hashes. Source packages are built first.
    pub(crate) fn resolve(&self, requirements: &Requirements) -> Result<String> {
        if requirements.sources.is_empty() {
            return self.resolve_wheels(&requirements.wheels, &[]);
        }
        let built = self.build(requirements)?;
        let folders: Vec<PathBuf> = built.iter().map(|wheel| self.cache.built(&wheel.digest)).collect();
        let wheels = built.iter().map(|wheel| format!("{}=={}", wheel.name, wheel.version));
        let lines: Vec<String> = [requirements.wheels.clone()].into_iter().chain(wheels).collect();
        let lock = self.resolve_wheels(&lines.join("\n"), &folders)?;
        builds::pin(&lock, &built).map_err(Error::Resolve)
    }

    /// The lock of requirements that need no build; `folders` have further wheels.
    pub(super) fn resolve_wheels(&self, requirements: &str, folders: &[PathBuf]) -> Result<String> {
        let declared = self.workspace.write("requirements.txt", requirements)?.display().to_string();
        let result = self.workspace.file("result").display().to_string();
        let argv = match &self.kind {
            Kind::Uv(words) => {
                let options =
                    "pip compile --quiet --no-header --no-annotate --generate-hashes --no-build --output-file";
                let compile = [words.clone(), words_of(options), vec![result, "--python".to_owned()]];
                [compile.concat(), vec![self.interpreter(), declared], find_links(folders)].concat()
            }
            Kind::Pip => {
                let options =
                    "-m pip install --quiet --dry-run --ignore-installed --disable-pip-version-check --no-input";
                let install = [vec![self.interpreter()], words_of(options), words_of("--only-binary :all: --report")];
                [install.concat(), vec![result, "-r".to_owned(), declared], find_links(folders)].concat()
            }
        };
        self.run(argv, None, folders)?.map_err(Error::Resolve)?;
        let output = self.workspace.read("result")?;
        match self.kind {
            Kind::Uv(_) => Ok(output),
            Kind::Pip => lock_of_report(&output),
        }
    }

    /// Creates the environment of `lock` in `folder`, which exists and is empty.
    pub(crate) fn install(&self, lock: &str, folder: &Path) -> Result<()> {
        let parsed = wheels::parse(lock, Builds::Refused).map_err(Error::Install)?;
        let locked = self.workspace.write("lock.txt", &parsed.wheels)?.display().to_string();
        let folders = self.cache.built_of(lock);
        let built = find_links(&folders);
        let (inside, target) = (folder.join("bin/python").display().to_string(), folder.display().to_string());
        let (create, fill) = match &self.kind {
            Kind::Uv(words) => {
                let venv = words_of("venv --quiet --no-project --allow-existing --python");
                let sync = words_of("pip sync --quiet --no-build --python");
                (
                    [words.clone(), venv, vec![self.interpreter(), target]].concat(),
                    [words.clone(), sync, vec![inside, locked], built].concat(),
                )
            }
            Kind::Pip => {
                let options =
                    "-m pip install --quiet --no-deps --disable-pip-version-check --no-input --only-binary :all: -r";
                (
                    [vec![self.interpreter()], words_of("-I -m venv"), vec![target]].concat(),
                    [vec![inside], words_of(options), vec![locked], built].concat(),
                )
            }
        };
        self.run(create, Some(folder), &[])?.map_err(Error::Install)?;
        if lock.trim().is_empty() {
            return Ok(());
        }
        self.run(fill, Some(folder), &folders)?.map_err(Error::Install)
    }

    /// Runs a tool that uses indexes. It may write the folder of downloads and `folder`, and read `further` paths.
    pub(super) fn run(
        &self,
        argv: Vec<String>,
        folder: Option<&Path>,
        further: &[PathBuf],
    ) -> Result<Result<(), String>> {
        let caches = [("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")];
        let mut variables: Vec<_> = caches.map(|(name, folder)| (name, self.downloads.join(folder))).into();
        // A link would make one file of a download and of every environment that has it.
        variables.push(("UV_LINK_MODE", PathBuf::from("copy")));
        let tool = Tool {
            launcher: self.launcher,
            argv,
            variables,
            writable: [Some(self.downloads.clone()), folder.map(Path::to_owned)].into_iter().flatten().collect(),
            readable: [self.readable.as_slice(), further].concat(),
            access: Access::Indexes,
        };
        tool.run(&self.workspace)
    }

    pub(super) fn interpreter(&self) -> String {
        self.python.executable.display().to_string()
    }
}

/// Options that name folders with wheels.
fn find_links(folders: &[PathBuf]) -> Vec<String> {
    folders.iter().flat_map(|folder| ["--find-links".to_owned(), folder.display().to_string()]).collect()
}

fn words_of(options: &str) -> Vec<String> {
    options.split(' ').map(str::to_owned).collect()
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
