//! The slice and its memory.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use perennial_config::Source;
use perennial_core::Result;
use perennial_core::id::{DatasetId, ProjectId};
use perennial_core::name::DatasetName;
use perennial_core::port::data::FilesSource;
use perennial_kernel::{Kernel, LockRank, OrderedMutex};
use perennial_projects::{ProjectState, source_grants, uploads};

use crate::settling::Unsettled;
use crate::source_watch::WatchedSource;

/// Collects sources and loads their rows.
pub struct Ingest {
    pub(crate) kernel: Arc<Kernel>,
    states: Mutex<HashMap<ProjectId, Arc<State>>>,
}

/// The state of one project.
pub(crate) struct State {
    /// Held while sources are collected, and while a person decides about a held load.
    pub(crate) collecting: OrderedMutex,
    /// Held while predictions are loaded into their dataset.
    pub(crate) loading_predictions: OrderedMutex,
    /// Held while a dataset is changed.
    writing: Mutex<HashMap<DatasetId, OrderedMutex>>,
    /// The latest listing of each source.
    pub(crate) watched: Mutex<BTreeMap<DatasetName, WatchedSource>>,
    /// Files that may still be being written.
    pub(crate) unsettled: Mutex<Unsettled>,
}

impl State {
    /// The lock of a dataset.
    pub(crate) fn writing(&self, dataset: DatasetId) -> OrderedMutex {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.entry(dataset).or_insert_with(|| OrderedMutex::new(LockRank::Dataset)).clone()
    }
}

impl Ingest {
    /// Creates the slice without any state.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self { kernel, states: Mutex::default() }
    }

    pub(crate) fn state(&self, project: ProjectId) -> Arc<State> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(State {
                collecting: OrderedMutex::new(LockRank::Collecting),
                loading_predictions: OrderedMutex::new(LockRank::LoadingPredictions),
                writing: Mutex::default(),
                watched: Mutex::default(),
                unsettled: Mutex::default(),
            })
        };
        states.entry(project).or_insert_with(new).clone()
    }

    /// A source for the data engine: a relative one is below the uploaded folder, if the project has one. `timezone` is the
    /// project's. Returns
    /// PermissionDenied for a URL that the project was not granted.
    pub(crate) async fn files_source(
        &self,
        project: &ProjectState,
        timezone: &str,
        declared: &Source,
    ) -> Result<FilesSource> {
        source_grants::require(&self.kernel, project, &declared.files).await?;
        Ok(files_source(declared, timezone, uploads::root(&self.kernel, project)))
    }
}

/// A source for the data engine: a relative one is below `root`, without `root` below the server's folder. `timezone` is
/// that of the project.
pub(crate) fn files_source(declared: &Source, timezone: &str, root: Option<PathBuf>) -> FilesSource {
    FilesSource { root: root.filter(|_| declared.is_relative()), ..declared.files_source(timezone) }
}
