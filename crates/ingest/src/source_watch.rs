//! When the sources of a project are listed, so that new files are found soon and an idle server does little.
//!
//! A listing costs one system call a file. Between two listings of a local source only the times of its folders are
//! compared, at one system call a folder: creating, renaming or removing a file changes the time of its folder. A file that
//! is rewritten in place does not, and is found by the next listing. Both are limited to a share of the time by how long
//! they took. Unlike notifications, this works on every file system, needs no limit of the kernel raised, and cannot lose
//! an event.

use std::sync::{Arc, PoisonError};

use perennial_core::Result;
use perennial_core::port::data::{FilesSource, Listing, SourceFolder};
use perennial_projects::{ProjectState, source_grants, uploads};

use crate::ingest::{Ingest, files_source};

/// The minimum interval between two listings of a source in an object store: each is a request.
const REMOTE_INTERVAL_MS: i64 = 60_000;
/// An unchanged source is listed, and its folders are compared, after this many times the duration of the last time:
/// each takes a quarter of a percent of the time.
const UNCHANGED_FACTOR: i64 = 400;
/// A source with a change is listed after this many times the duration of its last listing, until one finds no change.
const CHANGED_FACTOR: i64 = 10;
/// The coarsest resolution of the times of a file system. A folder that changed so shortly before its listing could change
/// again without another time.
const TIME_RESOLUTION_NS: i128 = 2_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// The latest listing of a source.
#[derive(Debug, Clone)]
pub(crate) struct WatchedSource {
    /// Digest of the names, sizes and times of its files.
    digest: blake3::Hash,
    folders: Arc<[SourceFolder]>,
    /// Whether the listing equals the one before, and no folder has changed since.
    is_unchanged: bool,
    listed: Pass,
    /// The latest comparison of the folders.
    compared: Pass,
}

/// Something that was done, on the wall clock.
#[derive(Debug, Clone, Copy)]
struct Pass {
    ended_ms: i64,
    duration_ms: i64,
}

impl Pass {
    fn new(began_ms: i64, ended_ms: i64) -> Self {
        Self { ended_ms, duration_ms: (ended_ms - began_ms).max(0) }
    }

    /// Whether an interval has passed since the end. A clock that was set back ends the interval too.
    fn is_past(self, interval_ms: i64, now_ms: i64) -> bool {
        !(0..interval_ms).contains(&(now_ms - self.ended_ms))
    }

    /// Whether `factor` times the duration has passed since the end.
    fn is_due(self, factor: i64, now_ms: i64) -> bool {
        self.is_past(self.duration_ms.saturating_mul(factor), now_ms)
    }
}

impl Ingest {
    /// Whether the listing of any source has changed since the last call, or a file should have settled. A source is listed when it is due; on a stepped
    /// clock always.
    pub async fn sources_changed(&self, project: &ProjectState) -> Result<bool> {
        let Some(submission) = project.find_submission() else { return Ok(false) };
        let state = self.state(project.id);
        let watched = || state.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stepped = project.clock.stepped_ms().is_some();
        let now_ms = self.kernel.services.clock.wall_ms();
        // A file that was left because it was fresh has not changed since, but can be loaded now.
        let mut has_changed = state.unsettled.lock().unwrap_or_else(PoisonError::into_inner).is_due(now_ms);
        for (name, declared) in &submission.project.datasets {
            let source = files_source(
                &declared.source,
                &submission.project.project.timezone,
                uploads::root(&self.kernel, project),
            );
            let mut before = watched().get(name).cloned();
            if let Some(before) = &mut before
                && !is_stepped
            {
                let is_due = self.is_listing_due(&source, declared.source.is_relative(), before).await;
                watched().insert(name.clone(), before.clone());
                if !is_due {
                    continue;
                }
            }
            let now = self.list_source(project, &source, before.as_ref()).await;
            has_changed |= before.is_none_or(|before| before.digest != now.digest);
            watched().insert(name.clone(), now);
        }
        Ok(has_changed)
    }

    /// Whether a source has to be listed. Compares the folders of an unchanged local source, when that is due.
    async fn is_listing_due(&self, source: &FilesSource, is_local: bool, watched: &mut WatchedSource) -> bool {
        let clock = &self.kernel.services.clock;
        let now_ms = clock.wall_ms();
        if !is_local {
            return watched.listed.is_past(REMOTE_INTERVAL_MS, now_ms);
        }
        if watched.is_unchanged && watched.compared.is_due(UNCHANGED_FACTOR, now_ms) {
            // A listing reports the error of a folder that cannot be read.
            let changed = self.kernel.data().folders_changed(source, &watched.folders).await.unwrap_or(true);
            watched.compared = Pass::new(now_ms, clock.wall_ms());
            watched.is_unchanged = !changed;
        }
        watched.listed.is_due(if watched.is_unchanged { UNCHANGED_FACTOR } else { CHANGED_FACTOR }, now_ms)
    }

    /// Lists a source. An error counts as an empty listing, and so does a source that the project may not read;
    /// collecting reports it.
    async fn list_source(
        &self,
        project: &ProjectState,
        source: &FilesSource,
        before: Option<&WatchedSource>,
    ) -> WatchedSource {
        let clock = &self.kernel.services.clock;
        let began_ms = clock.wall_ms();
        let Listing { files, folders } = match source_grants::require(&self.kernel, project, &source.files).await {
            Ok(()) => self.kernel.data().list(source).await.unwrap_or_default(),
            Err(_) => Listing::default(),
        };
        let mut hasher = blake3::Hasher::new();
        for file in files {
            hasher.update(
                format!("{}\0{}\0{:?}\0{:?}\n", file.path, file.size_bytes, file.modified_ns, file.etag).as_bytes(),
            );
        }
        let digest = hasher.finalize();
        let latest_ns = folders.iter().filter_map(|folder| folder.modified_ns).max();
        let may_miss_a_change =
            latest_ns.is_some_and(|latest_ns| latest_ns > i128::from(began_ms) * NS_PER_MS - TIME_RESOLUTION_NS);
        let ended_ms = clock.wall_ms();
        WatchedSource {
            digest,
            folders: folders.into(),
            is_unchanged: !may_miss_a_change && before.is_some_and(|before| before.digest == digest),
            listed: Pass::new(began_ms, ended_ms),
            compared: Pass::new(ended_ms, ended_ms),
        }
    }
}
