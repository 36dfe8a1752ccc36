//! Connects the slices with the implementations behind their ports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use perennial_artifacts::Blobs;
use perennial_core::clock::Clock;
use perennial_core::object_url::ObjectUrl;
use perennial_core::port::data::DataEngine;
use perennial_core::{Error, ErrorCode, Result};
use perennial_data::{Engine, EngineOptions, WorkerEngine, WorkerOptions as DataWorkerOptions};
use perennial_http::Slices;
use perennial_kernel::Services;
use perennial_runners::{LocalPaths, LocalRunner};
use perennial_serving::{Runtime, SegmentLog, WorkerOptions as ModelWorkerOptions};
use perennial_store::Store;
use perennial_training::BuiltInTrainers;
use perennial_worker::{ControlGroups, Requirement};

use crate::data_folder;
use crate::disk_reserve;
use crate::memory;
use crate::trainers::TRAINERS;

/// The most memory that queries and staging may use before they spill to disk; small enough for a laptop.
const ENGINE_MEMORY_BYTES_MAX: u64 = 768 * 1024 * 1024;
/// The part of the memory of this process that queries and staging may use; results and pages take as much again.
const ENGINE_MEMORY_PART: u64 = 5;

fn engine_memory_bytes() -> usize {
    let part = memory::limit_bytes().map_or(ENGINE_MEMORY_BYTES_MAX, |bytes| bytes / ENGINE_MEMORY_PART);
    usize::try_from(part.min(ENGINE_MEMORY_BYTES_MAX)).unwrap_or(usize::MAX)
}

/// Memory that queries and staging in one worker may use; its process may have twice as much and 512 MiB.
const WORKER_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// The binary of workers.
const THIS_BINARY: &str = "/proc/self/exe";

/// Where a server stores its data.
#[derive(Debug, Clone)]
pub struct ServerPaths {
    /// The project folder, to which relative sources refer.
    pub root: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// The URL of the metadata database; SQLite in the data folder if `None`.
    pub database: Option<String>,
    /// The folder or URL of blobs and datasets; the data folder if `None`.
    pub artifacts: Option<String>,
    /// Whether project clocks may be stepped.
    pub may_step_clock: bool,
    /// Whether steps may run without isolation.
    pub may_run_unisolated: bool,
    /// Whether packages of steps may be built from source.
    pub may_build_packages: bool,
    /// Whether people's SQL and the loading of files run in worker processes of this binary.
    pub uses_data_workers: bool,
}

/// Connects to the store, whose tables may still be those of an earlier version, and opens the blobs, the data engine and
/// the prediction log.
///
/// # Errors
/// If one of them cannot be opened.
pub(crate) async fn open(paths: &ServerPaths) -> Result<Arc<Slices>> {
    let data = &paths.data;
    let storage = |what: &str, cause: std::io::Error| {
        Error::new(ErrorCode::Storage, format!("cannot {what} {}", data.display())).with_source(cause)
    };
    data_folder::create(data)?;
    let data = &data.canonicalize().map_err(|cause| storage("resolve the data folder", cause))?;
    disk_reserve::release(data);
    let database =
        paths.database.clone().unwrap_or_else(|| format!("sqlite://{}", data.join("metadata.sqlite").display()));
    let store = Store::connect(&database, perennial_store::Options::default()).await.map_err(Error::from)?;
    let below = |name: &str| match &paths.artifacts {
        Some(root) => format!("{}/{name}", root.trim_end_matches('/')),
        None => data.join(name).display().to_string(),
    };
    let (artifacts, reserved) = own_storage(data, paths.artifacts.as_deref())?;
    let blobs = Blobs::open(&below("blobs")).map_err(Error::from)?;
    probe_artifacts(&below("blobs")).await?;
    let engine = Engine::open(EngineOptions {
        root: below("tables"),
        staging: data.join("staging"),
        source_root: paths.root.clone(),
        reserved,
        memory_bytes: engine_memory_bytes(),
        threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
    })?;
    // Before any process is started. Where there are none, the other limits of memory remain.
    let control_groups = ControlGroups::open().ok();
    let requirement = Requirement::of(paths.may_run_unisolated);
    let engine: Arc<dyn DataEngine> = if paths.uses_data_workers {
        let workers = DataWorkerOptions {
            program: PathBuf::from(THIS_BINARY),
            memory_bytes: WORKER_MEMORY_BYTES,
            requirement,
            control_groups: control_groups.clone(),
        };
        Arc::new(WorkerEngine::new(engine, &workers)?)
    } else {
        Arc::new(engine)
    };
    let launcher =
        std::env::current_exe().map_err(|cause| Error::internal("cannot find the path of this binary", cause))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let work = data.join("work");
    std::fs::create_dir_all(&work).map_err(|cause| storage("create a folder in", cause))?;
    Ok(Slices::new(Services {
        store,
        blobs,
        data: engine,
        runner: Arc::new(
            LocalRunner::new(LocalPaths {
                launcher: &launcher,
                jobs: &data.join("runner"),
                cache: &cache_folder(data),
                programs: &path,
            })
            .may_run_unisolated(paths.may_run_unisolated)
            .may_build_packages(paths.may_build_packages)
            .control_groups(control_groups.clone()),
        ),
        trainer: Arc::new(BuiltInTrainers),
        trainers: &TRAINERS,
        models: Arc::new(Runtime::with_workers(
            perennial_serving::find_library(),
            ModelWorkerOptions { requirement, control_groups, ..ModelWorkerOptions::default() },
        )),
        predictions: Arc::new(SegmentLog::open(&data.join("predictions"))?),
        clock: Arc::new(WallClock),
        root: paths.root.clone(),
        uploads: data.join("sent"),
        artifacts,
        work,
        version: env!("CARGO_PKG_VERSION"),
        may_step_clock: paths.may_step_clock,
        may_run_unisolated: paths.may_run_unisolated,
    }))
}

/// Asks the object store of a location whether it answers; a folder needs no question.
///
/// # Errors
/// Why it does not answer.
pub async fn probe_artifacts(location: &str) -> Result<()> {
    Blobs::probe(location).await.map_err(Error::from)
}

/// The server's own storage, which is never a source: its prefix in an object store, and its local folders.
fn own_storage(data: &Path, artifacts: Option<&str>) -> Result<(Option<ObjectUrl>, Vec<PathBuf>)> {
    let mut folders = vec![data.to_owned()];
    let Some(location) = artifacts else { return Ok((None, folders)) };
    let Some(folder) = Blobs::folder_at(location)? else {
        return Ok((Some(ObjectUrl::parse_prefix(location)?), folders));
    };
    data_folder::create(&folder)?;
    folders.push(folder);
    Ok((None, folders))
}

/// Removes the folders of steps and models that an earlier server left. Called when its steps have ended, and before this
/// server uses the folder.
pub(crate) fn clear_work(work: &Path) {
    let cleared = std::fs::remove_dir_all(work).and_then(|()| std::fs::create_dir_all(work));
    if let Err(error) = cleared {
        tracing::warn!(path = %work.display(), %error, "cannot remove the folders of earlier steps");
    }
}

/// Where the environments of steps are cached: `PERENNIAL_CACHE_DIR` if set, else the data folder.
fn cache_folder(data: &Path) -> PathBuf {
    match std::env::var_os("PERENNIAL_CACHE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => data.join("cache"),
    }
}

/// The machine's clock.
struct WallClock;

impl Clock for WallClock {
    fn wall_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}
