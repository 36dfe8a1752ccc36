//! The uploaded folders of a project on disk.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use perennial_artifacts::{Blobs, Error as BlobError, LinkMode};
use perennial_config::FILE_NAME;
use perennial_core::blob::{BlobDigest, Manifest, ManifestFile};
use perennial_core::id::ProjectId;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::Kernel;

use crate::project_files::blocking;

/// The largest manifest of a folder, in bytes; it names [`perennial_core::blob::MANIFEST_FILES_MAX`] files at most.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A folder that is not complete. It gets the name of its digest when it is.
const UNFINISHED: &str = "unfinished";

/// Where earlier versions recorded the digest of the current folder.
const RECORDED: &str = "current";

/// The folder of one project's uploads.
#[derive(Clone)]
pub(super) struct Folders {
    place: PathBuf,
}

impl Folders {
    pub(super) fn of(kernel: &Kernel, id: ProjectId) -> Self {
        Self { place: kernel.services.uploads.join(id.to_string()) }
    }

    pub(super) fn blobs(&self) -> Result<Blobs> {
        Ok(Blobs::open_folder(&self.place.join("blobs"))?)
    }

    /// The folder of a manifest. It is complete when it exists, and never changes.
    pub(super) fn path(&self, digest: BlobDigest) -> PathBuf {
        self.place.join(digest.to_string())
    }

    /// Where the files of a complete folder are, by content; none when it or its manifest does not exist.
    pub(super) async fn files(&self, digest: Option<BlobDigest>) -> Result<HashMap<BlobDigest, PathBuf>> {
        let Some(digest) = digest.filter(|digest| self.path(*digest).is_dir()) else { return Ok(HashMap::new()) };
        let folder = self.path(digest);
        match manifest(&self.blobs()?, digest).await {
            Ok(manifest) => {
                Ok(manifest.files().iter().map(|file| (file.blob.digest, folder.join(&file.path))).collect())
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(HashMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Creates the folder of a manifest from uploaded files and links to files of the current folder, unless it exists.
    /// The caller holds the project's lock of submissions, and reads its folders.
    pub(super) async fn create(&self, digest: BlobDigest, current: Option<BlobDigest>) -> Result<()> {
        let place = self.path(digest);
        if place.is_dir() {
            return Ok(());
        }
        let blobs = self.blobs()?;
        let new = manifest(&blobs, digest).await?;
        if new.file(FILE_NAME).is_none() {
            return Err(Error::new(ErrorCode::ProjectFile, format!("the uploaded folder has no `{FILE_NAME}`")));
        }
        let (present, unfinished) = (self.files(current).await?, self.place.join(UNFINISHED));
        let (files, to) = (new.files().to_vec(), unfinished.clone());
        let (left, folders) = blocking(move || {
            remove(&to)?;
            link(&files, &present, &to)
        })
        .await?;
        for file in left {
            let to = unfinished.join(&file.path);
            blobs.materialize(file.blob.digest, &to, LinkMode::Link).await.map_err(|error| match error {
                BlobError::NotFound(digest) => not_uploaded(&format!("file `{}`", file.path), digest),
                other => other.into(),
            })?;
        }
        let above = self.place.clone();
        blocking(move || {
            folders
                .iter()
                .try_for_each(|folder| sync(folder))
                .and_then(|()| std::fs::rename(&unfinished, &place))
                .and_then(|()| sync(&above))
                .map_err(failed("written"))
        })
        .await
    }

    /// Deletes the uploaded files that are in a complete folder.
    pub(super) async fn forget_files_in(&self, digest: BlobDigest) -> Result<()> {
        let blobs = self.blobs()?;
        for file in self.files(Some(digest)).await?.into_keys() {
            if blobs.exists(file).await? {
                blobs.delete(file).await?;
            }
        }
        Ok(())
    }

    /// Deletes the manifests of folders.
    pub(super) async fn forget_manifests(&self, digests: &[BlobDigest]) -> Result<()> {
        let blobs = self.blobs()?;
        for digest in digests {
            if blobs.exists(*digest).await? {
                blobs.delete(*digest).await?;
            }
        }
        Ok(())
    }

    /// The digests of every folder but the current one. Blocks.
    pub(super) fn others(&self, current: Option<BlobDigest>) -> Result<Vec<BlobDigest>> {
        let mut others = Vec::new();
        let entries = match std::fs::read_dir(&self.place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(others),
            Err(error) => return Err(failed("read")(error)),
        };
        for entry in entries {
            let name = entry.map_err(failed("read"))?.file_name();
            let digest: Option<BlobDigest> = name.to_str().and_then(|name| name.parse().ok());
            others.extend(digest.filter(|digest| Some(*digest) != current));
        }
        Ok(others)
    }

    /// Removes every folder but the current one. The caller ensures that none is read. Blocks.
    pub(super) fn remove_others(&self, current: Option<BlobDigest>) -> Result<()> {
        let unfinished = self.place.join(UNFINISHED);
        remove(&unfinished)?;
        for other in self.others(current)? {
            // Under its own name a folder is complete: a removal that is interrupted must not leave a part of it.
            std::fs::rename(self.path(other), &unfinished).map_err(failed("removed"))?;
            remove(&unfinished)?;
        }
        Ok(())
    }

    /// The current folder as an earlier version recorded it.
    pub(super) fn recorded(&self) -> Result<Option<BlobDigest>> {
        match std::fs::read_to_string(self.place.join(RECORDED)) {
            Ok(text) => text.trim().parse().map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// Removes the record of an earlier version.
    pub(super) fn remove_record(&self) -> Result<()> {
        std::fs::remove_file(self.place.join(RECORDED)).map_err(failed("removed"))
    }
}

/// Removes a folder with all it holds, if it exists.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("removed")(error)),
        _ => Ok(()),
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

/// Creates the folder `to` with links to the files that are `present`. Returns the files that are not, and every folder
/// created.
fn link(
    files: &[ManifestFile],
    present: &HashMap<BlobDigest, PathBuf>,
    to: &Path,
) -> Result<(Vec<ManifestFile>, BTreeSet<PathBuf>)> {
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
