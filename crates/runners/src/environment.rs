//! Environments of steps: the programs installed on the machine, or Python packages by lock.

mod builds;
mod cache;
mod python;
mod requirements;
mod seal;
mod tool;
mod wheels;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perennial_core::port::runner::{Environment, EnvironmentSpec};
use perennial_worker::{ControlGroups, Requirement};

use crate::error::{Error, Result};
use crate::program;
use cache::Cache;
use python::Python;
use requirements::Installer;
use tool::Launcher;
use wheels::Builds;

/// Resolves and installs environments, each once. A cached environment needs no network.
pub(crate) struct Environments {
    cache: Arc<Cache>,
    launcher: Launcher,
    builds: Builds,
}

impl Environments {
    /// Caches locks and environments below `folder`; uses the programs on `path`, each under a launcher.
    pub(crate) fn new(folder: &Path, path: &str, launcher: &Path) -> Self {
        let launcher =
            Launcher { binary: launcher.to_owned(), requirement: Requirement::Isolated, control_groups: None };
        Self { cache: Arc::new(Cache::new(folder, path)), launcher, builds: Builds::Refused }
    }

    /// Sets what happens on a kernel that cannot isolate.
    pub(crate) fn require(&mut self, requirement: Requirement) {
        self.launcher.requirement = requirement;
    }

    /// Sets whether packages may be built from source.
    pub(crate) fn may_build_packages(&mut self, may: bool) {
        self.builds = if may { Builds::Allowed } else { Builds::Refused };
    }

    /// Sets where tools get control groups.
    pub(crate) fn control_groups(&mut self, groups: Option<ControlGroups>) {
        self.launcher.control_groups = groups;
    }

    pub(crate) async fn resolve(&self, spec: &EnvironmentSpec, program: &str) -> Result<Environment> {
        let (cache, launcher, builds) = (self.cache.clone(), self.launcher.clone(), self.builds);
        let (spec, program) = (spec.clone(), program.to_owned());
        blocking(move || match spec {
            EnvironmentSpec::System => system(&cache, &program),
            EnvironmentSpec::Uv { requirements } => resolve_python(&cache, &launcher, builds, &requirements),
        })
        .await
    }

    pub(crate) async fn prepare(&self, spec: &EnvironmentSpec, environment: &Environment) -> Result<Environment> {
        let (cache, launcher) = (self.cache.clone(), self.launcher.clone());
        let (spec, environment) = (spec.clone(), environment.clone());
        blocking(move || {
            if let (EnvironmentSpec::Uv { .. }, Some(lock)) = (&spec, &environment.lock) {
                install_python(&cache, &launcher, &environment.digest, lock)?;
            }
            Ok(environment)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(Error::Worker)?
}

/// The installed `program`. The digest covers its bytes, not the libraries it loads.
fn system(cache: &Cache, program: &str) -> Result<Environment> {
    if program.contains('/') {
        // The program is a file in the step's folder, which is declared code.
        return Ok(Environment {
            digest: blake3::hash(program.as_bytes()).to_hex().to_string(),
            lock: None,
            path: Vec::new(),
            readable: Vec::new(),
            reproducible: false,
        });
    }
    let mut path = program::find(program, cache.path(), Path::new("/"))?;
    let mut readable = program::installation(&path);
    if program.starts_with("python") {
        // A shim starts an interpreter elsewhere, and that one is used.
        let python = Python::at(cache, &path)?;
        readable.extend(python.folders());
        path = python.executable;
    }
    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
    Ok(Environment {
        digest: blake3::hash(&bytes).to_hex().to_string(),
        lock: None,
        path: path.parent().map(Path::to_owned).into_iter().collect(),
        readable,
        reproducible: false,
    })
}

fn resolve_python(cache: &Cache, launcher: &Launcher, builds: Builds, requirements: &str) -> Result<Environment> {
    let python = Python::find(cache)?;
    // Also where there is a lock: the administrator may have allowed builds when it was made, and not now.
    let parsed = wheels::parse(requirements, builds).map_err(Error::Resolve)?;
    let lock = cache.lock(&python, requirements, || Installer::find(&python, cache, launcher)?.resolve(&parsed))?;
    let digest = python.digest_with(&lock);
    let folder = cache.environment(&digest);
    let mut readable = vec![folder.clone()];
    readable.extend(python.folders());
    Ok(Environment { digest, lock: Some(lock), path: vec![folder.join("bin")], readable, reproducible: true })
}

fn install_python(cache: &Cache, launcher: &Launcher, digest: &str, lock: &str) -> Result<PathBuf> {
    cache.build(digest, |folder| {
        let python = Python::find(cache)?;
        Installer::find(&python, cache, launcher)?.install(lock, folder)
    })
}
