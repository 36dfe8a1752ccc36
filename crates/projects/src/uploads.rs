//! Project folders that clients upload, by content hash. A server reads no path that a client names: uploads are
//! placed below a folder of the server, under paths validated by [`RelativePath`].
//!
//! ```text
//! <uploads>/<project id>/blobs        uploaded files, and the manifest of the current folder
//! <uploads>/<project id>/<digest>     a complete folder, named by the digest of its manifest; it never changes
//! <uploads>/<project id>/unfinished   a folder that is being created or removed
//! ```
//!
//! Which folder is the current one is part of the stored submission. A folder is removed when it is neither current nor
//! read, by a job that each submission of another folder enqueues.
//!
//! [`RelativePath`]: perennial_core::path::RelativePath

mod folders;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use perennial_artifacts::Error as BlobError;
use perennial_core::blob::BlobDigest;
use perennial_core::entity::ProjectFile;
use perennial_core::id::ProjectId;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::jobs::{JobKind, JobOutcome};
use perennial_kernel::{Caller, Kernel};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedRwLockReadGuard;

use self::folders::Folders;
use crate::project_files::{self, blocking};
use crate::state::{ProjectState, Stored};
use crate::submission::Submission;
use crate::submit;

/// The largest uploaded file, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// The most digests in one query.
pub const DIGESTS_MAX: usize = 10_000;
/// The pause before replaced folders that are being read are deleted.
const READ_PAUSE: Duration = Duration::from_secs(10);
/// The hint for larger files.
pub const TOO_LARGE_HINT: &str =
    "put the files into an object store and name its URL as the source: the server reads it from there";

/// The uploaded folder with the project's files; `None` when they are in the server's own folder. It stays while
/// [`ProjectState::read_folder`] is held.
pub fn root(kernel: &Kernel, project: &ProjectState) -> Option<PathBuf> {
    project.folder().map(|digest| Folders::of(kernel, project.id).path(digest))
}

/// The digests whose files must be uploaded before a folder with them can be submitted.
pub async fn missing(caller: &Caller, project: &ProjectState, digests: &[BlobDigest]) -> Result<Vec<BlobDigest>> {
    caller.require(Permission::Write, project.id)?;
    if digests.len() > DIGESTS_MAX {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("{} digests in one query, at most {DIGESTS_MAX} are allowed", digests.len()),
        )
        .with_hint("query them in parts"));
    }
    let folders = Folders::of(&caller.kernel, project.id);
    let (blobs, present) = (folders.blobs()?, folders.files(project.folder()).await?);
    let mut missing = Vec::new();
    for digest in digests {
        if !present.contains_key(digest) && !blobs.exists(*digest).await? {
            missing.push(*digest);
        }
    }
    Ok(missing)
}

/// Stores a file for the project's next folder. Its content must have the given digest.
pub async fn put<S>(caller: &Caller, project: &ProjectState, digest: BlobDigest, incoming: S) -> Result<u64>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
{
    caller.require(Permission::Write, project.id)?;
    let blobs = Folders::of(&caller.kernel, project.id).blobs()?;
    let stored = blobs.put_stream_expecting(digest, incoming, FILE_BYTES_MAX).await;
    let blob = stored.map_err(|error| match error {
        BlobError::TooLarge { limit_bytes, .. } => {
            Error::new(ErrorCode::TooLarge, format!("the file has more than {limit_bytes} bytes"))
                .with_hint(TOO_LARGE_HINT)
        }
        other => other.into(),
    })?;
    Ok(blob.size_bytes)
}

/// Makes an uploaded folder the current one: validates its project file, submits it, and reads the project's relative
/// sources there from now on. Returns a sentence for each change that may surprise.
pub async fn submit(caller: &Caller, project: &Arc<ProjectState>, folder: BlobDigest) -> Result<Vec<String>> {
    caller.require(Permission::Write, project.id)?;
    let submitting = project.submitting.lock().await;
    let folders = Folders::of(&caller.kernel, project.id);
    let reading = project.read_folder().await;
    let applied = async {
        folders.create(folder, project.folder()).await?;
        let submission = validate(caller, project, &folders, folder).await?;
        submit::apply(caller, project, submission, &submitting).await
    }
    .await;
    drop(reading);
    if applied.is_err() {
        remove_unused(&folders, project).await;
    }
    applied
}

/// A job: deletes the uploaded folders of a project that are not the current one, and the uploaded files from which
/// folders were made.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteReplacedUploads {
    /// The project.
    pub project: ProjectId,
}

impl JobKind for DeleteReplacedUploads {
    const NAME: &'static str = "delete_replaced_uploads";

    fn project(&self) -> ProjectId {
        self.project
    }
}

impl DeleteReplacedUploads {
    /// Executes the job. It is postponed while a folder is being read.
    pub(crate) async fn execute(kernel: &Kernel, project: &ProjectState) -> Result<JobOutcome> {
        let _submitting = project.submitting.lock().await;
        let Some(_folder) = project.try_write_folder() else { return Ok(JobOutcome::Postponed(READ_PAUSE)) };
        let (folders, current) = (Folders::of(kernel, project.id), project.folder());
        if let Some(current) = current {
            folders.forget_files_in(current).await?;
        }
        forget_others(&folders, current).await?;
        Ok(JobOutcome::Done)
    }
}

/// An uploaded folder that is not submitted, with its project file. [`Upload::close`] removes the folder again; its
/// files stay uploaded.
pub struct Upload {
    /// The validated project file.
    pub submission: Arc<Submission>,
    /// The folder.
    pub path: PathBuf,
    folders: Folders,
    project: Arc<ProjectState>,
    reading: OwnedRwLockReadGuard<()>,
}

impl Upload {
    /// Removes the folder, unless it is the one the project follows or another task reads it.
    pub async fn close(self) {
        drop(self.reading);
        remove_unused(&self.folders, &self.project).await;
    }
}

/// Puts an uploaded folder in place and validates its project file. What the project follows stays as it is, and
/// submissions need not wait until the folder is closed.
pub async fn open(caller: &Caller, project: &Arc<ProjectState>, folder: BlobDigest) -> Result<Upload> {
    caller.require(Permission::Write, project.id)?;
    let folders = Folders::of(&caller.kernel, project.id);
    let submitting = project.submitting.lock().await;
    let reading = project.read_folder().await;
    let created = folders.create(folder, project.folder()).await;
    drop(submitting);
    let validated = match created {
        Ok(()) => validate(caller, project, &folders, folder).await,
        Err(error) => Err(error),
    };
    match validated {
        Ok(submission) => {
            Ok(Upload { submission, path: folders.path(folder), folders, project: project.clone(), reading })
        }
        Err(error) => {
            drop(reading);
            remove_unused(&folders, project).await;
            Err(error)
        }
    }
}

/// The validated project file of an uploaded folder.
async fn validate(
    caller: &Caller,
    project: &ProjectState,
    folders: &Folders,
    digest: BlobDigest,
) -> Result<Arc<Submission>> {
    let submission = project_files::read_of(caller, project, &folders.path(digest)).await?;
    Ok(Arc::new(Submission { folder: Some(digest), ..submission }))
}

/// Removes every folder but the current one, with its manifest and uploaded files. The caller ensures that none is read.
/// An attempt that is interrupted finds the folders again: their manifests are deleted first.
async fn forget_others(folders: &Folders, current: Option<BlobDigest>) -> Result<()> {
    let read = folders.clone();
    let others = blocking(move || read.others(current)).await?;
    for other in &others {
        folders.forget_files_in(*other).await?;
    }
    folders.forget_manifests(&others).await?;
    let removed = folders.clone();
    blocking(move || removed.remove_others(current)).await
}

/// Removes every folder but the current one, unless one is being read: its reader removes it, or the next submission. A
/// failure is logged: what the project follows does not depend on it.
async fn remove_unused(folders: &Folders, project: &ProjectState) {
    let Some(_folder) = project.try_write_folder() else { return };
    let (folders, current) = (folders.clone(), project.folder());
    log_failure(project, blocking(move || folders.remove_others(current)).await);
}

fn log_failure(project: &ProjectState, result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(project = %project.name, error = error.chain(), "unused uploads are not removed");
    }
}

/// Puts the folders of a project in order before anything reads them: takes over the current folder as an earlier version
/// recorded it, and removes the others. Those of a stored file that cannot be parsed are not removed.
pub(crate) async fn recover(kernel: &Kernel, id: ProjectId, stored: &mut Stored) -> Result<()> {
    let folders = Folders::of(kernel, id);
    match (&stored.file, &mut stored.submission) {
        (Some(_), None) => return Ok(()),
        (Some(file), Some(submission)) => {
            if let Some(recorded) = folders.recorded()? {
                submission.folder = submission.folder.or(Some(recorded));
                let file = ProjectFile { body: submission.body()?, ..file.clone() };
                kernel
                    .store()
                    .write(move |tx| {
                        Box::pin(async move { Ok(perennial_store::projects::submit_file(tx, &file).await?) })
                    })
                    .await?;
                folders.remove_record()?;
            }
        }
        (None, _) => {}
    }
    let current = stored.submission.as_ref().and_then(|submission| submission.folder);
    forget_others(&folders, current).await
}
