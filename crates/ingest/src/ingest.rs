//! The slice and its memory.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use perennial_config::Source;
use perennial_core::Result;
use perennial_core::id::ProjectId;
use perennial_core::name::DatasetName;
use perennial_core::port::data::FilesSource;
use perennial_kernel::{Kernel, LockRank, OrderedMutex};
use perennial_projects::{ProjectState, uploads};

/// Collects sources and loads their rows.
pub struct Ingest {
    pub(crate) kernel: Arc<Kernel>,
    states: Mutex<HashMap<ProjectId, Arc<State>>>,
}

/// The state of one project.
pub(crate) struct State {
    /// Held while sources are collected: each dataset has one loader at a time.
    pub(crate) collecting: OrderedMutex,
    /// Held while predictions are loaded into their dataset.
    pub(crate) loading_predictions: OrderedMutex,
    /// The listing of each source at its last scan.
    listings: Mutex<BTreeMap<DatasetName, Listed>>,
}

/// The minimum interval between two listings of a source in an object store: each is a request.
const REMOTE_LIST_MS: i64 = 60_000;

/// One listing of a source.
#[derive(Debug, Clone)]
struct Listed {
    /// When it was listed, on the wall clock.
    wall_ms: i64,
    /// Digest of the files' names, sizes and times.
    files: blake3::Hash,
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
                listings: Mutex::default(),
            })
        };
        states.entry(project).or_insert_with(new).clone()
    }

    /// A source for the data engine: a relative one is below the uploaded folder, if the project has one.
    pub(crate) fn files_source(&self, project: &ProjectState, declared: &Source) -> Result<FilesSource> {
        Ok(files_source(declared, uploads::root(&self.kernel, project)?))
    }

    /// Whether the listing of any source has changed since the last call.
    pub async fn sources_changed(&self, project: &ProjectState) -> Result<bool> {
        let Some(submission) = project.find_submission() else { return Ok(false) };
        let state = self.state(project.id);
        let wall_ms = self.kernel.services.clock.wall_ms();
        let listings = || state.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut changed, mut listed) = (false, BTreeMap::new());
        for (name, declared) in &submission.project.datasets {
            let before = listings().get(name).cloned();
            let is_recent =
                |listed: &Listed| wall_ms - listed.wall_ms < REMOTE_LIST_MS && project.clock.stepped_ms().is_none();
            if !declared.source.is_relative() && before.as_ref().is_some_and(is_recent) {
                continue;
            }
            let mut hasher = blake3::Hasher::new();
            // An error is reported by collecting.
            let source = self.files_source(project, &declared.source)?;
            for file in self.kernel.data().list(&source).await.unwrap_or_default() {
                hasher.update(
                    format!("{}\0{}\0{:?}\0{:?}\n", file.path, file.size_bytes, file.modified_ns, file.etag).as_bytes(),
                );
            }
            let now = Listed { wall_ms, files: hasher.finalize() };
            changed |= before.is_none_or(|before| before.files != now.files);
            listed.insert(name.clone(), now);
        }
        listings().extend(listed);
        Ok(changed)
    }
}

/// A source for the data engine: a relative one is below `root`, without `root` below the server.s folder.
pub(crate) fn files_source(declared: &Source, root: Option<PathBuf>) -> FilesSource {
    FilesSource { root: root.filter(|_| declared.is_relative()), ..declared.files_source() }
}
