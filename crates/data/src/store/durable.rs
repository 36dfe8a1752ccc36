//! A local folder as an object store with durable writes.
//!
//! `object_store`'s local file system never syncs: after power loss a commit could be an empty file. Here bytes are
//! written to a temporary file beside the target and synced; the file gets its name by a link (create) or rename
//! (overwrite), then the folder is synced.

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

/// The local file system with synced writes.
#[derive(Debug)]
pub(crate) struct DurableFolder {
    inner: LocalFileSystem,
}

impl DurableFolder {
    /// Uses the whole local file system; Delta prefixes its paths with the table's folder.
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
        let target = self.inner.path_to_filesystem(location)?;
        blocking(move || {
            let (mut file, temporary) = temporary_beside(&target)?;
            let written = payload.iter().try_for_each(|chunk| file.write_all(chunk));
            remove_on_error(&temporary, written)?;
            publish(&file, &temporary, &target, create)
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let (file, temporary) = temporary_beside(&target)?;
        Ok(Box::new(Upload { file: Arc::new(file), temporary, target, offset: 0 }))
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
        let target = self.inner.path_to_filesystem(to)?;
        blocking(move || {
            let (mut file, temporary) = temporary_beside(&target)?;
            let copied = File::open(&source).and_then(|mut from| io::copy(&mut from, &mut file));
            remove_on_error(&temporary, copied)?;
            publish(&file, &temporary, &target, create).map(|_| ())
        })
        .await
    }
}

/// Syncs a folder, so that its entries are durable.
pub(crate) fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a temporary file beside `target`, under a name that listings omit. Missing folders are created and synced.
fn temporary_beside(target: &FilePath) -> Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = target.parent().unwrap_or_else(|| FilePath::new("/"));
    create_folders(folder).map_err(|cause| failed(folder, cause))?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    // By the convention of object_store, names of unfinished files end in `#` and digits.
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

/// Creates `folder` and its missing parents, and syncs each one's parent.
pub(crate) fn create_folders(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folders(parent)?;
        match std::fs::create_dir(folder) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
            _ => sync_folder(parent)?,
        }
    }
    Ok(())
}

/// Syncs the complete file and gives it its name. With `create`, an existing file is an error and stays.
fn publish(file: &File, temporary: &FilePath, target: &FilePath, create: bool) -> Result<PutResult> {
    remove_on_error(temporary, file.sync_all())?;
    if create {
        let linked = std::fs::hard_link(temporary, target);
        // Best effort: a remaining temporary file is never listed or read.
        let _ = std::fs::remove_file(temporary);
        linked.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::AlreadyExists { path: target.display().to_string(), source: Box::new(cause) }
            }
            _ => failed(target, cause),
        })?;
    } else {
        remove_on_error(temporary, std::fs::rename(temporary, target))?;
    }
    if let Some(folder) = target.parent() {
        sync_folder(folder).map_err(|cause| failed(folder, cause))?;
    }
    Ok(PutResult { e_tag: None, version: None })
}

fn remove_on_error<T>(temporary: &FilePath, result: io::Result<T>) -> Result<T> {
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

/// A multipart upload; each part is written at its offset.
#[derive(Debug)]
struct Upload {
    file: Arc<File>,
    temporary: PathBuf,
    target: PathBuf,
    offset: u64,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut offset = self.offset;
        self.offset += data.content_length() as u64;
        let file = Arc::clone(&self.file);
        let target = self.target.clone();
        blocking(move || {
            for chunk in &data {
                file.write_all_at(chunk, offset).map_err(|cause| failed(&target, cause))?;
                offset += chunk.len() as u64;
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (file, temporary, target) = (Arc::clone(&self.file), self.temporary.clone(), self.target.clone());
        blocking(move || publish(&file, &temporary, &target, false)).await
    }

    async fn abort(&mut self) -> Result<()> {
        let temporary = self.temporary.clone();
        blocking(move || std::fs::remove_file(&temporary).map_err(|cause| failed(&temporary, cause))).await
    }
}
