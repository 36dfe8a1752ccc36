//! Connects the use cases with every implementation behind a port.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use perennial_artifacts::Blobs;
use perennial_config::{Param, ParamKind, TrainerSpec};
use perennial_core::clock::Clock;
use perennial_core::frame::Frame;
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode};
use perennial_data::{Engine, EngineOptions};
use perennial_http::Slices;
use perennial_kernel::Services;
use perennial_runners::LocalRunner;
use perennial_serving::{Runtime, SegmentLog};
use perennial_store::Store;
use perennial_training::{Kind, Range};
use serde_json::{Map, Value};

/// Memory that queries and staging may use before they spill to disk; small enough for a laptop.
const ENGINE_MEMORY_BYTES: usize = 768 * 1024 * 1024;

/// Where a server stores its data.
#[derive(Debug, Clone)]
pub(crate) struct ServerPaths {
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
}

/// Opens the store, the blobs, the data engine and the prediction log.
///
/// # Errors
/// If one of them cannot be opened.
pub(crate) async fn open(paths: &ServerPaths) -> Result<Arc<Slices>> {
    let data = &paths.data;
    std::fs::create_dir_all(data).with_context(|| format!("cannot create the data folder {}", data.display()))?;
    let data = &data.canonicalize()?;
    let database =
        paths.database.clone().unwrap_or_else(|| format!("sqlite://{}", data.join("metadata.sqlite").display()));
    let store = Store::open(&database, perennial_store::Options::default()).await.map_err(Error::from)?;
    let below = |name: &str| match &paths.artifacts {
        Some(root) => format!("{}/{name}", root.trim_end_matches('/')),
        None => data.join(name).display().to_string(),
    };
    let engine = Engine::open(EngineOptions {
        root: below("tables"),
        staging: data.join("staging"),
        source_root: paths.root.clone(),
        memory_bytes: ENGINE_MEMORY_BYTES,
        threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
    })?;
    let launcher = std::env::current_exe().context("cannot find the path of this binary")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let work = data.join("work");
    // The folders of steps of an earlier server, which cannot run any more.
    if let Err(error) = std::fs::remove_dir_all(&work)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %work.display(), %error, "cannot remove the folders of earlier steps");
    }
    std::fs::create_dir_all(&work)?;
    Ok(Slices::new(Services {
        store,
        blobs: Blobs::open(&below("blobs")).map_err(Error::from)?,
        data: Arc::new(engine),
        runner: Arc::new(LocalRunner::new(&launcher, &cache_folder(data), &path)),
        trainer: Arc::new(BuiltIn),
        trainers: &TRAINERS,
        models: Arc::new(Runtime::new(perennial_serving::find_library())),
        predictions: Arc::new(SegmentLog::open(&data.join("predictions"))?),
        clock: Arc::new(WallClock),
        root: paths.root.clone(),
        uploads: data.join("sent"),
        work,
        version: env!("CARGO_PKG_VERSION"),
        may_step_clock: paths.may_step_clock,
    }))
}

/// Where the environments of steps are cached: `PERENNIAL_CACHE_DIR` if set, else the data folder.
fn cache_folder(data: &Path) -> PathBuf {
    match std::env::var_os("PERENNIAL_CACHE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => data.join("cache"),
    }
}

/// The machine's clock.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn wall_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}

/// Names and parameters of the built-in trainers, which project files are validated against.
static TRAINERS: LazyLock<Vec<TrainerSpec>> = LazyLock::new(|| {
    Kind::ALL
        .iter()
        .map(|kind| {
            let params: Vec<Param> = perennial_training::params(*kind)
                .iter()
                .map(|spec| Param { name: spec.name, kind: kind_of(spec.range) })
                .collect();
            TrainerSpec { name: kind.as_str(), params: Vec::leak(params) }
        })
        .collect()
});

fn kind_of(range: Range) -> ParamKind {
    match range {
        Range::Whole { min, max } => ParamKind::Whole(min as i64, i64::try_from(max).unwrap_or(i64::MAX)),
        Range::Number { min, max } => ParamKind::Number(min, max),
    }
}

/// The built-in trainers, as an implementation of the port.
struct BuiltIn;

impl Trainer for BuiltIn {
    fn train(
        &self,
        kind: &str,
        task: TaskKind,
        features: &Frame,
        target: &Target,
        params: &Map<String, Value>,
    ) -> perennial_core::Result<TrainedModel> {
        let kind = Kind::find(kind).ok_or_else(|| Error::not_found("built-in trainer", kind))?;
        let trained = perennial_training::train(kind, features, target, task, params)
            .map_err(|cause| Error::new(ErrorCode::StepFailed, cause.to_string()))?;
        let mut importance = trained.importance;
        importance.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(TrainedModel {
            onnx: trained.onnx,
            signature: trained.signature,
            params: trained.params,
            metrics: trained
                .metrics
                .into_iter()
                .map(|metric| (metric.name.to_owned(), metric.step as i64, metric.value))
                .collect(),
            importance,
        })
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
