//! The slice and its memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perennial_core::Result;
use perennial_core::id::ProjectId;
use perennial_core::name::EndpointName;
use perennial_ingest::Ingest;
use perennial_ingest::snapshot::DatasetSnapshot;
use perennial_kernel::{Kernel, LockRank, OrderedMutex};
use perennial_projects::{ProjectState, Submission};
use perennial_release::{Endpoints, PipelineRunner};

/// Runs what is due in each project.
pub struct Watch {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) runner: Arc<PipelineRunner>,
    states: Mutex<HashMap<ProjectId, Arc<State>>>,
}

/// The instant of the last run in a project without one.
const NEVER: i64 = i64::MIN;
/// The interval between a failure and its retry, on the wall clock; each further failure doubles it.
const RETRY_MS_MIN: i64 = 60_000;
/// The maximum interval between two retries.
const RETRY_MS_MAX: i64 = 60 * 60_000;

/// The next instant at which something is due. Every change adds a ledger entry or a revision, which invalidates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Sequence of the project's ledger when it was computed.
    pub sequence: i64,
    /// Revision of the project when it was computed.
    pub revision: u64,
    /// The instant on the project clock; `None` when nothing is due until something changes.
    pub at_ms: Option<i64>,
}

/// When to run again, because something failed or was not ready.
#[derive(Debug, Default)]
struct Retry {
    /// The instant on the wall clock.
    wall_ms: Option<i64>,
    /// The current interval.
    pause_ms: i64,
}

/// The project file and dataset versions with which `[task].data` was last updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceVersions {
    file_digest: String,
    versions: Vec<(String, i64)>,
}

/// The state of one project.
pub(crate) struct State {
    /// Held while the clock is stepped, or while what is due runs.
    pub(crate) ticking: OrderedMutex,
    /// Held while `[task].data` is updated for monitors.
    pub(crate) refreshing: OrderedMutex,
    /// Windows without enough outcomes, by monitor and start, with the inputs of the last evaluation.
    pub(crate) unlabelled: Mutex<BTreeMap<(String, i64), String>>,
    due: Mutex<Option<Due>>,
    retry: Mutex<Retry>,
    refreshed: Mutex<Option<SourceVersions>>,
    /// The project clock at the beginning of the last run.
    ran_at_ms: AtomicI64,
    /// Whether a tick loads predictions into their datasets.
    pub(crate) is_loading_predictions: AtomicBool,
    /// Endpoints whose predictions could not be loaded, with the time of the next attempt on the wall clock.
    loading_paused: Mutex<BTreeMap<EndpointName, i64>>,
}

impl Watch {
    /// Creates the slice without any state.
    pub fn new(
        kernel: Arc<Kernel>,
        ingest: Arc<Ingest>,
        endpoints: Arc<Endpoints>,
        runner: Arc<PipelineRunner>,
    ) -> Arc<Self> {
        Arc::new(Self { kernel, ingest, endpoints, runner, states: Mutex::default() })
    }

    pub(crate) fn state(&self, project: ProjectId) -> Arc<State> {
        let new = || {
            Arc::new(State {
                ticking: OrderedMutex::new(LockRank::Ticking),
                refreshing: OrderedMutex::new(LockRank::Refreshing),
                unlabelled: Mutex::default(),
                due: Mutex::default(),
                retry: Mutex::default(),
                refreshed: Mutex::default(),
                ran_at_ms: AtomicI64::new(NEVER),
                is_loading_predictions: AtomicBool::default(),
                loading_paused: Mutex::default(),
            })
        };
        lock(&self.states).entry(project).or_insert_with(new).clone()
    }
}

impl State {
    /// The next instant at which something is due, if it is known at this sequence and revision.
    pub(crate) fn known_due(&self, sequence: i64, revision: u64) -> Option<Due> {
        lock(&self.due).filter(|due| due.sequence == sequence && due.revision == revision)
    }

    pub(crate) fn set_due(&self, due: Due) {
        *lock(&self.due) = Some(due);
    }

    pub(crate) fn forget_due(&self) {
        *lock(&self.due) = None;
    }

    /// Whether a retry is due; true once for each retry.
    pub(crate) fn start_retry(&self, wall_ms: i64) -> bool {
        lock(&self.retry).wall_ms.take_if(|at| *at <= wall_ms).is_some()
    }

    /// Makes a retry due at the next tick.
    pub(crate) fn retry_at_once(&self) {
        lock(&self.retry).wall_ms = Some(i64::MIN);
    }

    /// The instant since which nothing was run: the beginning of the last run.
    pub(crate) fn due_from(&self, now_ms: i64) -> i64 {
        Some(self.ran_at_ms.load(Ordering::Acquire)).filter(|ms| *ms != NEVER).map_or(now_ms, |ms| ms.min(now_ms))
    }

    /// Records the project clock at the beginning of a run. Unless every part succeeded, a retry is scheduled.
    pub(crate) fn ran(&self, began_ms: i64, wall_ms: i64, is_complete: bool) {
        self.ran_at_ms.store(began_ms, Ordering::Release);
        let mut retry = lock(&self.retry);
        retry.pause_ms = if is_complete { 0 } else { (retry.pause_ms * 2).clamp(RETRY_MS_MIN, RETRY_MS_MAX) };
        if !is_complete {
            let next = wall_ms + retry.pause_ms;
            retry.wall_ms = Some(retry.wall_ms.map_or(next, |at| at.min(next)));
        }
    }

    /// Loads no predictions of an endpoint until an instant of the wall clock.
    pub(crate) fn pause_loading(&self, endpoint: &EndpointName, until_ms: i64) {
        lock(&self.loading_paused).insert(endpoint.clone(), until_ms);
    }

    /// Whether the loading of an endpoint's predictions is paused; a pause that is over is forgotten.
    pub(crate) fn is_loading_paused(&self, endpoint: &EndpointName, wall_ms: i64) -> bool {
        let mut paused = lock(&self.loading_paused);
        let is_paused = paused.get(endpoint).is_some_and(|until_ms| wall_ms < *until_ms);
        if !is_paused {
            paused.remove(endpoint);
        }
        is_paused
    }

    /// The current versions of the sources; `None` when `[task].data` was last updated with them.
    pub(crate) async fn changed_sources(
        &self,
        kernel: &Kernel,
        project: &ProjectState,
        submission: &Submission,
    ) -> Result<Option<SourceVersions>> {
        let snapshot = DatasetSnapshot::latest(kernel, project.id).await?;
        let sources = snapshot.iter().filter(|table| submission.project.datasets.contains_key(&table.dataset.name));
        let now = SourceVersions {
            file_digest: submission.digest.clone(),
            versions: sources.map(|table| (table.dataset.name.to_string(), table.version.number)).collect(),
        };
        let is_known = lock(&self.refreshed).as_ref() == Some(&now);
        Ok((!is_known).then_some(now))
    }

    /// Records that `[task].data` is up to date with these versions.
    pub(crate) fn set_refreshed(&self, sources: SourceVersions) {
        *lock(&self.refreshed) = Some(sources);
    }
}

pub(crate) fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
