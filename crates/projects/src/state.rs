//! A project in memory: its identity, its clock and the submission it follows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use perennial_core::blob::BlobDigest;
use perennial_core::clock::Instant;
use perennial_core::entity::ProjectFile;
use perennial_core::id::{ExperimentId, ProjectId};
use perennial_core::name::ProjectName;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Kernel, LockRank, OrderedMutex, ProjectClock};
use perennial_store::projects;

use crate::submission::Submission;

/// A project in memory. What the slices above remember of a project is in a state of their own.
pub struct ProjectState {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// The MLflow experiment of its name.
    pub experiment: ExperimentId,
    /// Its clock.
    pub clock: Arc<ProjectClock>,
    submission: RwLock<Option<Arc<Submission>>>,
    /// Counts changes that no ledger entry shows: another submission, endpoints that follow another file.
    revision: AtomicU64,
    /// Held while a submission is compared with the one before and replaces it.
    pub(crate) submitting: OrderedMutex,
    /// Read while files of an uploaded folder are read, written while old folders are removed. No task waits to write,
    /// so a reader may read again.
    folder: Arc<tokio::sync::RwLock<()>>,
}

impl ProjectState {
    /// A project with the submission in the store.
    pub(crate) async fn open(kernel: &Kernel, id: ProjectId, submission: Option<Submission>) -> Result<Self> {
        let record = projects::get(&mut *kernel.store().read().await?, id).await?;
        Ok(Self {
            id,
            name: record.name,
            experiment: record.experiment_id,
            clock: kernel.clock_of(id).await?,
            submission: RwLock::new(submission.map(Arc::new)),
            revision: AtomicU64::new(0),
            submitting: OrderedMutex::new(LockRank::Submitting),
            folder: Arc::default(),
        })
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The project file last submitted.
    pub fn submission(&self) -> Result<Arc<Submission>> {
        self.find_submission().ok_or_else(|| {
            Error::new(ErrorCode::WrongState, format!("project `{}` has no project file to follow", self.name))
                .with_hint("`perennial run` or `perennial up` in the project's folder submits it")
        })
    }

    /// The project file last submitted, if any was.
    pub fn find_submission(&self) -> Option<Arc<Submission>> {
        self.submission.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The uploaded folder of its relative sources; `None` when they are in the server's own folder.
    pub(crate) fn folder(&self) -> Option<BlobDigest> {
        self.find_submission().and_then(|submission| submission.folder)
    }

    /// The project file of a digest: the one last submitted, or an earlier one from the store.
    pub async fn submission_of(&self, kernel: &Kernel, digest: &str) -> Result<Arc<Submission>> {
        if let Some(newest) = self.find_submission().filter(|newest| newest.digest == digest) {
            return Ok(newest);
        }
        let file = projects::get_file(&mut *kernel.store().read().await?, self.id, digest).await?;
        Ok(Arc::new(Submission::restore(kernel, &file.digest, &file.body)?))
    }

    /// Makes a stored submission the one that runs, triggers and monitors follow.
    pub(crate) fn follow(&self, submission: Arc<Submission>) {
        let mut followed = self.submission.write().unwrap_or_else(PoisonError::into_inner);
        let identity = |submission: &Submission| (submission.digest.clone(), submission.folder);
        if followed.as_deref().map(identity) != Some(identity(&submission)) {
            *followed = Some(submission);
            self.touch();
        }
    }

    /// How often something changed that no ledger entry shows. What was computed at another revision is void.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Marks a change that no ledger entry shows.
    pub fn touch(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Keeps the project's folders in place while its files are read.
    pub async fn read_folder(&self) -> tokio::sync::OwnedRwLockReadGuard<()> {
        self.folder.clone().read_owned().await
    }

    /// Blocks readers of the folder, unless it is being read now.
    pub(crate) fn try_write_folder(&self) -> Option<tokio::sync::OwnedRwLockWriteGuard<()>> {
        self.folder.clone().try_write_owned().ok()
    }
}

/// The submission in the store.
pub(crate) struct Stored {
    /// Its row, if there is one.
    pub file: Option<ProjectFile>,
    /// The submission. `None` as well when another version of this program stored a file that this one cannot parse; the
    /// next submission replaces it.
    pub submission: Option<Submission>,
}

impl Stored {
    pub(crate) async fn load(kernel: &Kernel, id: ProjectId) -> Result<Self> {
        let Some(file) = projects::find_current_file(&mut *kernel.store().read().await?, id).await? else {
            return Ok(Self { file: None, submission: None });
        };
        let submission = Submission::restore(kernel, &file.digest, &file.body)
            .inspect_err(|error| {
                tracing::warn!(project = %id, error = error.chain(), "the stored project file is ignored");
            })
            .ok();
        Ok(Self { file: Some(file), submission })
    }
}
