//! A local folder as object store that has written to disk what it says it has written.
//!
//! `object_store`'s own local folder never syncs: after a power cut a commit could be an
//! empty file. Here bytes go to a file beside their place, are synced, and get their name
//! by a link (create) or rename (overwrite); then the folder is synced.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The local file system, synced.
#[derive(Debug)]
pub(crate) struct DurableFolder {
    inner: LocalFileSystem,
}

impl DurableFolder {
    /// The whole local file system; Delta adds each table's folder before its paths.
    pub(crate) fn new() -> Self {
        Self { inner: LocalFileSystem::new() }
    }
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableFolder")
    }
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put with an update".into(),
                    implementer: self.to_string(),
                });
            }
        };
        let place = self.inner.path_to_filesystem(location)?;
        blocking(move || {
            let (mut file, temporary) = temporary_beside(&place)?;
            let written = payload.iter().try_for_each(|chunk| file.write_all(chunk));
            drop_on_error(&temporary, written)?;
            publish(&file, &temporary, &place, create)
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let place = self.inner.path_to_filesystem(location)?;
        let (file, temporary) = temporary_beside(&place)?;
        Ok(Box::new(Upload { file: Arc::new(file), temporary, place, offset: 0 }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let create = options.mode == CopyMode::Create;
        let source = self.inner.path_to_filesystem(from)?;
        let place = self.inner.path_to_filesystem(to)?;
        blocking(move || {
            let (mut file, temporary) = temporary_beside(&place)?;
            let copied = File::open(&source).and_then(|mut from| io::copy(&mut from, &mut file));
            drop_on_error(&temporary, copied)?;
            publish(&file, &temporary, &place, create).map(|_| ())
        })
        .await
    }
}

/// Syncs a folder, so that the names in it last.
pub(crate) fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file beside `place` for bytes on their way, under a name that listings leave out.
/// Folders on the way are made and synced.
fn temporary_beside(place: &FilePath) -> Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = place.parent().unwrap_or_else(|| FilePath::new("/"));
    make_folders(folder).map_err(|cause| failed(folder, cause))?;
    let mut name = place.file_name().unwrap_or_default().to_owned();
    // `#` and digits end the names of unfinished files, by object_store's own convention.
    name.push(format!("#{}{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let temporary = folder.join(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .map_err(|cause| failed(&temporary, cause))?;
    Ok((file, temporary))
}

/// Makes `folder` and those above it, each synced into its parent.
pub(crate) fn make_folders(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
        match std::fs::create_dir(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
            _ => sync_folder(parent)?,
        }
    }
    Ok(())
}

/// Syncs the finished file and gives it its name; with `create` an existing file stays and is told.
fn publish(file: &File, temporary: &FilePath, place: &FilePath, create: bool) -> Result<PutResult> {
    drop_on_error(temporary, file.sync_all())?;
    if create {
        let linked = std::fs::hard_link(temporary, place);
        // What is left over is never listed or read.
        let _ = std::fs::remove_file(temporary);
        linked.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::AlreadyExists { path: place.display().to_string(), source: Box::new(cause) }
            }
            _ => failed(place, cause),
        })?;
    } else {
        drop_on_error(temporary, std::fs::rename(temporary, place))?;
    }
    if let Some(folder) = place.parent() {
        sync_folder(folder).map_err(|cause| failed(folder, cause))?;
    }
    Ok(PutResult { e_tag: None, version: None })
}

fn drop_on_error<T>(temporary: &FilePath, result: io::Result<T>) -> Result<T> {
    result.map_err(|cause| {
        let _ = std::fs::remove_file(temporary);
        failed(temporary, cause)
    })
}

fn failed(path: &FilePath, cause: io::Error) -> Error {
    Error::Generic { store: "folder", source: format!("{}: {cause}", path.display()).into() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// An upload in parts, each written at its offset.
#[derive(Debug)]
struct Upload {
    file: Arc<File>,
    temporary: PathBuf,
    place: PathBuf,
    offset: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut offset = self.offset;
        self.offset += data.content_length() as u64;
        let file = Arc::clone(&self.file);
        let place = self.place.clone();
        blocking(move || {
            for chunk in &data {
                file.write_all_at(chunk, offset).map_err(|cause| failed(&place, cause))?;
                offset += chunk.len() as u64;
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (file, temporary, place) = (Arc::clone(&self.file), self.temporary.clone(), self.place.clone());
        blocking(move || publish(&file, &temporary, &place, false)).await
    }

    async fn abort(&mut self) -> Result<()> {
        let temporary = self.temporary.clone();
        blocking(move || std::fs::remove_file(&temporary).map_err(|cause| failed(&temporary, cause))).await
    }
}
