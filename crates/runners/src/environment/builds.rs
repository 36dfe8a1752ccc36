//! Builds wheels of source packages, where the administrator allows it.
//!
//! A build runs the package's code, as do its phases (PEP 517). Nothing of it has the network, settings, or a folder that
//! others use:
//!
//! ```text
//! fetch     downloads the package; no code of it runs                        network, settings of indexes
//! unpack    unpacks it and reads what its build needs                        nothing
//! install   installs these packages, from wheels, into a new environment     network, settings of indexes
//! requires  the build backend names further packages; they are installed     nothing
//! wheel     the build backend builds the wheel                               nothing
//! ```
//!
//! The wheel is kept under its digest, by which the lock names it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::requirements::Installer;
use super::seal;
use super::tool::{self, Access, Tool};
use super::wheels::{self, Builds, Requirements, SourcePackage, is_plain, normalized};
use crate::error::{Error, Result};
use crate::program::DEFAULT_PATH;

/// The script that downloads source packages.
const FETCH: &str = include_str!("builds/fetch.py");

/// The script with the phases of a build.
const BUILD: &str = include_str!("builds/build.py");

/// The size limit of a wheel that was built, bytes.
const WHEEL_MAX_BYTES: u64 = 2 << 30;

/// The users of builds: the first one, and how many there are. Those of jobs are below.
const USERS_FIRST: u32 = 2_000_000_000;
const USERS: u32 = 100_000_000;

/// A wheel that was built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuiltWheel {
    /// The package's name, normalized.
    pub(super) name: String,
    /// Its version, as in the wheel's file name.
    pub(super) version: String,
    /// The SHA-256 digest of the wheel.
    pub(super) digest: String,
}

/// What the download gets.
#[derive(Serialize)]
struct FetchRequest<'a> {
    sources: &'a [SourcePackage],
    /// The lines of the requirements that name indexes.
    options: &'a [&'a str],
}

/// What a package declares about its build.
#[derive(Deserialize)]
struct Description {
    requires: Vec<String>,
}

/// One build.
struct Build<'a> {
    installer: &'a Installer<'a>,
    name: &'a str,
    /// The folder of the build; the package's code may write its part `package` only.
    folder: PathBuf,
    user: u32,
}

impl Installer<'_> {
    /// Builds the source packages of the requirements.
    pub(super) fn build(&self, requirements: &Requirements) -> Result<Vec<BuiltWheel>> {
        let options: Vec<&str> = requirements.wheels.lines().filter(|line| line.starts_with('-')).collect();
        let archives = self.fetch(&FetchRequest { sources: &requirements.sources, options: &options })?;
        let mut built = Vec::new();
        for (number, (source, archive)) in requirements.sources.iter().zip(archives).enumerate() {
            let user = USERS_FIRST + uuid::Uuid::new_v4().as_u128() as u32 % USERS;
            let build =
                Build { installer: self, name: &source.name, folder: self.workspace.build_folder(number)?, user };
            built.push(build.run(&archive, &options)?);
        }
        Ok(built)
    }

    /// Downloads the source packages; returns their files, in order.
    fn fetch(&self, request: &FetchRequest<'_>) -> Result<Vec<PathBuf>> {
        let text = serde_json::to_string(request).map_err(|error| Error::Resolve(error.to_string()))?;
        let script = self.workspace.write("fetch.py", FETCH)?;
        let request_file = self.workspace.write("sources.json", &text)?;
        let folder = self.workspace.file("sources");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let paths = [script, request_file, folder.clone()].map(|path| path.display().to_string());
        let argv = [vec![self.interpreter(), "-I".to_owned()], paths.into()].concat();
        self.run(argv, None, &[])?.map_err(Error::Resolve)?;
        let names: Vec<String> = read_json(&folder.join("result.json")).map_err(Error::Resolve)?;
        if names.len() != request.sources.len() || names.iter().any(|name| name.contains('/')) {
            return Err(Error::Resolve("the download of source packages is incomplete".to_owned()));
        }
        Ok(names.iter().map(|name| folder.join(name)).collect())
    }
}

impl Build<'_> {
    /// Builds the wheel of the package in `archive` and keeps it.
    fn run(&self, archive: &Path, indexes: &[&str]) -> Result<BuiltWheel> {
        let package = self.package();
        let name = archive.file_name().unwrap_or_default();
        let (inside, source, target) = (package.join(name), package.join("source"), package.join("wheel"));
        for folder in [&package, &source, &target] {
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        fs::rename(archive, &inside).map_err(Error::io(archive))?;
        let script = package.join("build.py");
        fs::write(&script, BUILD).map_err(Error::io(&script))?;
        let python = PathBuf::from(self.installer.interpreter());
        let description: Description = self.phase("unpack", &python, None, &[&inside, &source])?;
        let environment = Environment::install(self, "first", &description.requires, indexes)?;
        let (python, path) = (environment.python(), Some(environment.folder.as_path()));
        let further: Vec<String> = self.phase("requires", &python, path, &[&source])?;
        let environment = if further.is_empty() {
            environment
        } else {
            drop(environment);
            Environment::install(self, "second", &[description.requires, further].concat(), indexes)?
        };
        let (python, path) = (environment.python(), Some(environment.folder.as_path()));
        let file: String = self.phase("wheel", &python, path, &[&source, &target])?;
        self.keep(&target, &file)
    }

    fn package(&self) -> PathBuf {
        self.folder.join("package")
    }

    /// Runs one phase of the build without network and settings; returns its result.
    fn phase<T: DeserializeOwned>(
        &self,
        phase: &str,
        python: &Path,
        environment: Option<&Path>,
        arguments: &[&Path],
    ) -> Result<T> {
        let package = self.package();
        let result = package.join(format!("{phase}.json"));
        let script = package.join("build.py").display().to_string();
        let mut argv = vec![python.display().to_string(), "-I".to_owned(), script, phase.to_owned()];
        argv.extend(arguments.iter().map(|path| path.display().to_string()));
        argv.push(result.display().to_string());
        let programs = environment.map(|environment| environment.join("bin").display().to_string());
        let path = programs.into_iter().chain([DEFAULT_PATH.to_owned()]).collect::<Vec<_>>().join(":");
        let tool = Tool {
            launcher: self.installer.launcher,
            argv,
            variables: vec![("PATH", PathBuf::from(path)), ("LANG", PathBuf::from("C.UTF-8"))],
            writable: Vec::new(),
            readable: self.installer.python.folders().into_iter().chain(environment.map(Path::to_owned)).collect(),
            access: Access::Nothing { folder: package, user: self.user },
        };
        tool.run(&self.installer.workspace)?.map_err(|reason| self.failed(reason))?;
        read_json(&result).map_err(|reason| self.failed(reason))
    }

    /// Keeps the wheel that the build left.
    fn keep(&self, folder: &Path, file: &str) -> Result<BuiltWheel> {
        let wrong = |reason: &str| self.failed(format!("it left the wheel `{}`: {reason}", file.escape_debug()));
        let parts: Vec<&str> = file.strip_suffix(".whl").unwrap_or_default().split('-').collect();
        if !is_plain(file) || !(5..=6).contains(&parts.len()) {
            return Err(wrong("expected `NAME-VERSION-PYTHON-ABI-PLATFORM.whl`"));
        }
        if normalized(parts[0]) != self.name {
            return Err(wrong(&format!("expected one of `{}`", self.name)));
        }
        // A link in its place would lead to wheels of others.
        if !folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(wrong("its folder was replaced"));
        }
        let wheel = tool::open_file(&folder.join(file)).map_err(|error| wrong(&error.to_string()))?;
        let digest = self.installer.cache.keep_wheel(file, wheel, WHEEL_MAX_BYTES)?;
        Ok(BuiltWheel { name: self.name.to_owned(), version: parts[1].to_owned(), digest })
    }

    fn failed(&self, reason: String) -> Error {
        Error::Build { name: self.name.to_owned(), reason }
    }
}

/// The environment of a build, removed when dropped.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Installs packages, which come as wheels, for a build.
    fn install(build: &Build<'_>, name: &str, requires: &[String], indexes: &[&str]) -> Result<Self> {
        let environment = Self { folder: build.folder.join(name) };
        fs::create_dir_all(&environment.folder).map_err(Error::io(&environment.folder))?;
        // What a package declares is foreign text.
        let declared = requires.iter().find(|line| line.trim_start().starts_with('-') || line.contains(['\n', '\r']));
        if let Some(line) = declared {
            return Err(build.failed(format!("it declares `{}`, which is not a package", line.escape_debug())));
        }
        let text = [indexes.join("\n"), requires.join("\n")].join("\n");
        let parsed = wheels::parse(&text, Builds::Refused).map_err(|reason| build.failed(reason))?;
        let lock = build.installer.resolve_wheels(&parsed.wheels, &[]);
        let lock = lock.map_err(|error| build.failed(format!("what it needs: {error}")))?;
        build.installer.install(&lock, &environment.folder)?;
        // The user of the build reads it.
        seal::seal(&environment.folder)?;
        Ok(environment)
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // Best effort; its files are read-only.
        let _ = seal::remove(&self.folder, &self.folder.with_extension("seal"));
    }
}

/// The lock with the digests of the wheels that were built: whatever an index has in their versions is not installed.
pub(super) fn pin(lock: &str, built: &[BuiltWheel]) -> Result<String, String> {
    let mut pending: HashMap<&str, &BuiltWheel> = built.iter().map(|wheel| (wheel.name.as_str(), wheel)).collect();
    let mut pinned = String::new();
    for line in lock.replace("\\\n", " ").lines() {
        let name = line.split("==").next().unwrap_or_default().trim();
        // Writing to a String cannot fail.
        let _ = match pending.remove(normalized(name).as_str()) {
            Some(BuiltWheel { name, version, digest }) => writeln!(pinned, "{name}=={version} --hash=sha256:{digest}"),
            None => writeln!(pinned, "{line}"),
        };
    }
    if let Some(name) = pending.keys().next() {
        return Err(format!("the lock has no `{name}`, which was built"));
    }
    if pinned.lines().any(|line| line.contains("==") && !line.contains("--hash=")) {
        return Err("packages beside those that were built have no hashes in their index".to_owned());
    }
    Ok(pinned)
}

/// A value that a tool wrote as JSON.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = tool::read_file(path).map_err(|error| format!("its result cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("its result is malformed: {error}"))
}

#[cfg(test)]
mod tests;
