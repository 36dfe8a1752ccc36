//! Project folders that clients upload, by content hash. A server reads no path that a client names: uploads are
//! placed below a folder of the server, under paths validated by [`RelativePath`].
//!
//! ```text
//! <uploads>/<project id>/blobs      uploaded files, and the manifest of the current folder
//! <uploads>/<project id>/<digest>   a complete folder, named by the digest of its manifest
//! <uploads>/<project id>/current    the digest of the current folder
//! ```
//!
//! [`RelativePath`]: perennial_core::path::RelativePath

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use perennial_artifacts::{Blobs, Error as BlobError, LinkMode};
use perennial_config::FILE_NAME;
use perennial_core::blob::{BlobDigest, Manifest, ManifestFile};
use perennial_core::id::ProjectId;
use perennial_core::permission::Permission;
use perennial_core::{Error, ErrorCode, Result};

use perennial_kernel::{Caller, Kernel, OrderedGuard};

use crate::projects::{self, apply_submission, authorize_submission};
use crate::state::ProjectState;
use crate::submission::Submission;

/// The largest uploaded file, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// The most digests in one query.
pub const DIGESTS_MAX: usize = 10_000;
/// The largest manifest of a folder, in bytes; it names [`perennial_core::blob::MANIFEST_FILES_MAX`] files at most.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The hint for larger files.
pub const TOO_LARGE_HINT: &str =
    "put the files into an object store and name its URL as the source: the server reads it from there";

/// The folder of one project's uploads.
struct ProjectUploads {
    place: PathBuf,
}

impl ProjectUploads {
    fn of(kernel: &Kernel, id: ProjectId) -> Self {
        Self { place: kernel.services.uploads.join(id.to_string()) }
    }

    fn blobs(&self) -> Result<Blobs> {
        Ok(Blobs::open_folder(&self.place.join("blobs"))?)
    }

    fn folder(&self, digest: BlobDigest) -> PathBuf {
        self.place.join(digest.to_string())
    }

    /// The current folder, if a client uploaded one.
    fn current(&self) -> Result<Option<BlobDigest>> {
        match std::fs::read_to_string(self.place.join("current")) {
            Ok(text) => text.trim().parse().map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read")(error)),
        }
    }

    fn remove(&self, folder: BlobDigest) -> Result<()> {
        std::fs::remove_dir_all(self.folder(folder)).map_err(failed("removed"))
    }

    fn make_current(&self, digest: BlobDigest) -> Result<()> {
        let (place, fresh) = (self.place.join("current"), self.place.join("current.new"));
        File::create(&fresh)
            .and_then(|mut file| {
                file.write_all(digest.to_string().as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&fresh, &place))
            .and_then(|()| sync(&self.place))
            .map_err(failed("written"))
    }
}

fn failed(verb: &str) -> impl FnOnce(std::io::Error) -> Error {
    let message = format!("the uploaded folder cannot be {verb}");
    move |cause| {
        Error::new(ErrorCode::Storage, message)
            .with_hint("`perennial doctor` checks the server's disk")
            .with_source(cause)
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The uploaded folder with the project's files; `None` when they are in the server's own folder.
pub fn root(kernel: &Kernel, project: &ProjectState) -> Result<Option<PathBuf>> {
    let uploads = ProjectUploads::of(kernel, project.id);
    Ok(uploads.current()?.map(|digest| uploads.folder(digest)))
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
    let uploads = ProjectUploads::of(&caller.kernel, project.id);
    let blobs = uploads.blobs()?;
    let present: HashSet<BlobDigest> = match uploads.current()? {
        Some(current) => manifest(&blobs, current).await?.files().iter().map(|file| file.blob.digest).collect(),
        None => HashSet::new(),
    };
    let mut missing = Vec::new();
    for digest in digests {
        if !present.contains(digest) && !blobs.exists(*digest).await? {
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
    let blobs = ProjectUploads::of(&caller.kernel, project.id).blobs()?;
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
    let _uploading = project.uploading.lock().await;
    let uploads = ProjectUploads::of(&caller.kernel, project.id);
    let landed = land(&uploads, folder).await?;
    let validated = validate(caller, project, &uploads.folder(folder)).await.and_then(|submission| {
        authorize_submission(caller, project, &submission)?;
        Ok(submission)
    });
    let submission = match validated {
        Ok(submission) => submission,
        Err(error) => {
            if landed.is_some() {
                uploads.remove(folder)?;
            }
            return Err(error);
        }
    };
    uploads.make_current(folder)?;
    let notices = apply_submission(caller, project, submission).await?;
    if let Some(manifest) = landed {
        tidy(&uploads, project, folder, &manifest).await?;
    }
    Ok(notices)
}

/// An uploaded folder that is not submitted, with its project file. [`Upload::close`] removes the folder again; its
/// files stay uploaded.
pub struct Upload {
    /// The validated project file.
    pub submission: Arc<Submission>,
    /// The folder.
    pub path: PathBuf,
    uploads: ProjectUploads,
    digest: BlobDigest,
    is_current: bool,
    _uploading: OrderedGuard,
}

impl Upload {
    /// Removes the folder, unless it is the one the project follows.
    pub fn close(self) -> Result<()> {
        if self.is_current { Ok(()) } else { self.uploads.remove(self.digest) }
    }
}

/// Puts an uploaded folder in place and validates its project file. What the project follows stays as it is.
pub async fn open(caller: &Caller, project: &ProjectState, folder: BlobDigest) -> Result<Upload> {
    caller.require(Permission::Write, project.id)?;
    let uploading = project.uploading.lock().await;
    let uploads = ProjectUploads::of(&caller.kernel, project.id);
    let is_current = land(&uploads, folder).await?.is_none();
    let path = uploads.folder(folder);
    match validate(caller, project, &path).await {
        Ok(submission) => Ok(Upload { submission, path, uploads, digest: folder, is_current, _uploading: uploading }),
        Err(error) => {
            if !is_current {
                uploads.remove(folder)?;
            }
            Err(error)
        }
    }
}

/// The validated project file of an uploaded folder.
async fn validate(caller: &Caller, project: &ProjectState, folder: &Path) -> Result<Arc<Submission>> {
    let submission = projects::read(&caller.kernel, folder).await?;
    let name = &submission.project.project.name;
    if *name != project.name {
        let message = format!("the project file belongs to project `{name}`, expected `{}`", project.name);
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    }
    Ok(Arc::new(submission))
}

/// Deletes the uploads of a project: its files are those of the server's own folder again.
pub(crate) async fn forget(kernel: &Kernel, project: &ProjectState) -> Result<()> {
    let uploads = ProjectUploads::of(kernel, project.id);
    if uploads.current()?.is_none() {
        return Ok(());
    }
    let _uploading = project.uploading.lock().await;
    let _folder = project.write_folder().await;
    std::fs::remove_file(uploads.place.join("current")).map_err(failed("removed"))?;
    std::fs::remove_dir_all(&uploads.place).map_err(failed("removed"))
}

async fn manifest(blobs: &Blobs, digest: BlobDigest) -> Result<Manifest> {
    let bytes = blobs.get_bytes(digest, MANIFEST_BYTES_MAX).await.map_err(|error| match error {
        BlobError::NotFound(_) => not_uploaded("manifest of the folder", digest),
        other => other.into(),
    })?;
    let wrong = |why: &str| Error::new(ErrorCode::InvalidArgument, format!("the folder's manifest is refused: {why}"));
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    Manifest::parse(&text).map_err(|error| wrong(error.message()))
}

fn not_uploaded(what: &str, digest: BlobDigest) -> Error {
    Error::new(ErrorCode::NotFound, format!("the {what}, `{digest}`, was not uploaded"))
        .with_hint("query which digests are missing, upload those, then submit again")
}

/// Creates a folder beside the current one from uploaded files and links to files of the current folder. `None` when it
/// is the current one.
async fn land(uploads: &ProjectUploads, digest: BlobDigest) -> Result<Option<Manifest>> {
    let blobs = uploads.blobs()?;
    let current = uploads.current()?;
    if current == Some(digest) {
        return Ok(None);
    }
    let new = manifest(&blobs, digest).await?;
    if new.file(FILE_NAME).is_none() {
        return Err(Error::new(ErrorCode::ProjectFile, format!("the uploaded folder has no `{FILE_NAME}`")));
    }
    let mut present: HashMap<BlobDigest, PathBuf> = HashMap::new();
    if let Some(current) = current {
        let folder = uploads.folder(current);
        for file in manifest(&blobs, current).await?.files() {
            present.insert(file.blob.digest, folder.join(&file.path));
        }
    }
    let (files, to) = (new.files().to_vec(), uploads.folder(digest));
    let (left, folders) = blocking(move || link(&files, &present, &to)).await?;
    let to = uploads.folder(digest);
    for file in left {
        let place = to.join(&file.path);
        blobs.materialize(file.blob.digest, &place, LinkMode::Link).await.map_err(|error| match error {
            BlobError::NotFound(digest) => not_uploaded(&format!("file `{}`", file.path), digest),
            other => other.into(),
        })?;
    }
    blocking(move || folders.iter().try_for_each(|folder| sync(folder)).map_err(failed("written"))).await?;
    Ok(Some(new))
}

/// Creates the folder `to` with links to the files that are `present`. Returns the files that are not, and every folder
/// created.
fn link(
    files: &[ManifestFile],
    present: &HashMap<BlobDigest, PathBuf>,
    to: &Path,
) -> Result<(Vec<ManifestFile>, BTreeSet<PathBuf>)> {
    match std::fs::remove_dir_all(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("removed")(error)),
        _ => {}
    }
    std::fs::create_dir_all(to).map_err(failed("written"))?;
    let (mut left, mut folders) = (Vec::new(), BTreeSet::from([to.to_owned()]));
    for file in files {
        let place = to.join(&file.path);
        let mut above = place.parent();
        while let Some(folder) = above.filter(|folder| *folder != to && !folders.contains(*folder)) {
            std::fs::create_dir_all(folder).map_err(failed("written"))?;
            folders.insert(folder.to_owned());
            above = folder.parent();
        }
        match present.get(&file.blob.digest) {
            // Not every file system supports hard links.
            Some(from) => std::fs::hard_link(from, &place)
                .or_else(|_| std::fs::copy(from, &place).map(drop))
                .map_err(failed("written"))?,
            None => left.push(file.clone()),
        }
    }
    Ok((left, folders))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Error::internal("placing an uploaded folder panicked", panic))?
}

/// Deletes uploaded files that are in the folder by now, and earlier folders that are not being read.
async fn tidy(
    uploads: &ProjectUploads,
    project: &ProjectState,
    current: BlobDigest,
    manifest: &Manifest,
) -> Result<()> {
    let blobs = uploads.blobs()?;
    for file in manifest.files() {
        if blobs.exists(file.blob.digest).await? {
            blobs.delete(file.blob.digest).await?;
        }
    }
    // A running collection reads the folder that was current when it began; the next submission deletes it then.
    let Some(_folder) = project.try_write_folder() else { return Ok(()) };
    for entry in std::fs::read_dir(&uploads.place).map_err(failed("read"))? {
        let entry = entry.map_err(failed("read"))?;
        let digest: Option<BlobDigest> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(old) = digest.filter(|digest| *digest != current) {
            std::fs::remove_dir_all(entry.path()).map_err(failed("removed"))?;
            if blobs.exists(old).await? {
                blobs.delete(old).await?;
            }
        }
    }
    Ok(())
}
