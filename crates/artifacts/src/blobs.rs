//! The blob store, over a local folder or a bucket.

use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use perennial_core::blob::{Blob, BlobDigest, Manifest};
use tokio::io::AsyncWriteExt;

use crate::bucket::Bucket;
use crate::directory;
use crate::error::{Error, Result};
use crate::files::{self, CHUNK_BYTES, Temporary};
use crate::folder::Folder;

/// A stream of a blob's bytes.
pub type BlobStream = BoxStream<'static, Result<Bytes>>;

/// The largest manifest that is read, in bytes.
const MANIFEST_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a materialized file may be a hard link to the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// A reflink, else a read-only hard link, else a copy. For files that are only read: writing to a hard link despite
    /// its mode, as root may, damages the blob; the next read reports that.
    Link,
    /// A reflink, else a copy; the file may be written to.
    Copy,
}

/// Blobs by content hash. Cheap to clone; many tasks may call it concurrently.
///
/// Every put is durable when it returns: in a local folder the bytes, the directory entry and new folders are synced. An
/// interrupted put leaves nothing that a read could find. A put of bytes whose blob is damaged repairs it.
#[derive(Debug, Clone)]
pub struct Blobs {
    backend: Backend,
    /// Holds incoming bytes until their digest is known.
    spool: Folder,
    /// Removes the spool of a bucket when the last clone is dropped.
    _spool: Option<Arc<Spool>>,
}

/// A new folder for temporary files, private to this process.
#[derive(Debug)]
struct Spool(PathBuf);

impl Spool {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("perennial-blobs-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Best effort: the system cleans its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Clone)]
enum Backend {
    Folder(Folder),
    Bucket(Bucket),
}

/// Runs a blocking call on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(Error::Worker)?
}

impl Blobs {
    /// Opens the folder at a path, created when missing, or a bucket and prefix at `s3://`, `gs://` or `az://`, with
    /// credentials from the standard variables. `file://` URLs name folders, too.
    pub fn open(location: &str) -> Result<Self> {
        match Self::folder_at(location)? {
            Some(folder) => Self::open_folder(&folder),
            None => Self::in_bucket(Bucket::open(location)?),
        }
    }

    /// The folder that a location names, by its path or its `file://` URL; `None` for a bucket.
    pub fn folder_at(location: &str) -> Result<Option<PathBuf>> {
        if !location.contains("://") {
            return Ok(Some(PathBuf::from(location)));
        }
        if !location.starts_with("file://") {
            return Ok(None);
        }
        let invalid = |reason: &str| Error::Location { location: location.to_owned(), reason: reason.to_owned() };
        let url = url::Url::parse(location).map_err(|error| invalid(&error.to_string()))?;
        url.to_file_path().map(Some).map_err(|()| invalid("expected `file:///absolute/path`"))
    }

    /// Asks the object store of a location for one object, without retries. A folder needs no question.
    ///
    /// # Errors
    /// Why the store does not answer, or refuses the request.
    pub async fn probe(location: &str) -> Result<()> {
        match Self::folder_at(location)? {
            Some(_) => Ok(()),
            None => Bucket::probe(location).await,
        }
    }

    /// Opens the folder at `path`, created when missing.
    pub fn open_folder(path: &Path) -> Result<Self> {
        let folder = Folder::open(path)?;
        Ok(Self { backend: Backend::Folder(folder.clone()), spool: folder, _spool: None })
    }

    /// The folder of the blobs; `None` when they are in a bucket.
    pub fn folder(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Folder(folder) => Some(folder.root()),
            Backend::Bucket(_) => None,
        }
    }

    /// Uses the objects below `prefix` of any object store.
    pub fn open_store(store: Arc<dyn object_store::ObjectStore>, prefix: &str) -> Result<Self> {
        let prefix = object_store::path::Path::parse(prefix)
            .map_err(|error| Error::Location { location: prefix.to_owned(), reason: error.to_string() })?;
        Self::in_bucket(Bucket::new(store, prefix))
    }

    fn in_bucket(bucket: Bucket) -> Result<Self> {
        let spool = Spool::create()?;
        Ok(Self { backend: Backend::Bucket(bucket), spool: Folder::open(&spool.0)?, _spool: Some(Arc::new(spool)) })
    }

    /// Stores `bytes`.
    pub async fn put_bytes(&self, bytes: impl Into<Bytes>) -> Result<Blob> {
        let bytes = bytes.into();
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.put_bytes(&bytes)).await
            }
            Backend::Bucket(bucket) => bucket.put_bytes(bytes).await,
        }
    }

    /// Stores a copy of the file, a reflink where the file system supports it; the file itself is not changed.
    pub async fn put_file(&self, path: &Path) -> Result<Blob> {
        let path = path.to_owned();
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.put_file(&path)).await
            }
            Backend::Bucket(bucket) => {
                let named = path.clone();
                let blob = blocking(move || files::hash(&named)).await?;
                bucket.put_file(&path, blob).await?;
                Ok(blob)
            }
        }
    }

    /// The digest and size of a file, which is not stored.
    pub async fn hash_file(path: &Path) -> Result<Blob> {
        let path = path.to_owned();
        blocking(move || files::hash(&path)).await
    }

    /// Stores the bytes of the stream, at most `limit_bytes`.
    pub async fn put_stream<S>(&self, incoming: S, limit_bytes: u64) -> Result<Blob>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
    {
        self.receive(incoming, limit_bytes, None).await
    }

    /// Stores the bytes of the stream, at most `limit_bytes`, when they have the `expected` digest. Bytes with another
    /// digest are [`Error::Unexpected`] and change nothing.
    pub async fn put_stream_expecting<S>(&self, expected: BlobDigest, incoming: S, limit_bytes: u64) -> Result<Blob>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
    {
        self.receive(incoming, limit_bytes, Some(expected)).await
    }

    async fn receive<S>(&self, mut incoming: S, limit_bytes: u64, expected: Option<BlobDigest>) -> Result<Blob>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin,
    {
        let temporary = self.spool.unfinished();
        let guard = Temporary(&temporary);
        let mut file = tokio::fs::File::create_new(&temporary).await.map_err(Error::io(&temporary))?;
        let mut hasher = blake3::Hasher::new();
        let mut size_bytes = 0;
        while let Some(chunk) = incoming.next().await {
            let chunk = chunk.map_err(Error::Incoming)?;
            size_bytes += chunk.len() as u64;
            hasher.update(&chunk);
            if size_bytes > limit_bytes {
                return Err(Error::TooLarge { digest: hasher.finalize().into(), size_bytes, limit_bytes });
            }
            file.write_all(&chunk).await.map_err(Error::io(&temporary))?;
        }
        file.flush().await.map_err(Error::io(&temporary))?;
        drop(file);
        let blob = Blob { digest: hasher.finalize().into(), size_bytes };
        if let Some(expected) = expected.filter(|expected| *expected != blob.digest) {
            return Err(Error::Unexpected { expected, found: blob.digest });
        }
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, temporary) = (folder.clone(), temporary.clone());
                blocking(move || folder.publish(&temporary, blob)).await?;
            }
            Backend::Bucket(bucket) => bucket.put_file(&temporary, blob).await?,
        }
        drop(guard);
        Ok(blob)
    }

    /// The blob's bytes, verified against the digest; an error when there are more than `limit_bytes`.
    pub async fn get_bytes(&self, digest: BlobDigest, limit_bytes: u64) -> Result<Vec<u8>> {
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.get_bytes(digest, limit_bytes)).await
            }
            Backend::Bucket(bucket) => bucket.get_bytes(digest, limit_bytes).await,
        }
    }

    /// Streams the blob's bytes. Without a range they are verified, and the last item is [`Error::Corrupt`] when they
    /// do not have the digest; the bytes of a range cannot be verified.
    pub async fn get_stream(&self, digest: BlobDigest, range: Option<Range<u64>>) -> Result<BlobStream> {
        let is_whole = range.is_none();
        let bytes = match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                let range = range.unwrap_or(0..u64::MAX);
                let (file, length) = blocking(move || folder.open_range(digest, &range)).await?;
                read_stream(tokio::fs::File::from_std(file), length)
            }
            Backend::Bucket(bucket) => bucket.get_stream(digest, range).await?,
        };
        Ok(if is_whole { verified(bytes, digest) } else { bytes })
    }

    /// Materializes the blob at `to`, which must not exist, and verifies its digest.
    pub async fn materialize(&self, digest: BlobDigest, to: &Path, mode: LinkMode) -> Result<()> {
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, to) = (folder.clone(), to.to_owned());
                blocking(move || folder.materialize(digest, &to, mode)).await
            }
            Backend::Bucket(_) => {
                let mut bytes = self.get_stream(digest, None).await?;
                let mut file = tokio::fs::File::create_new(to).await.map_err(Error::io(to))?;
                let written = async {
                    while let Some(chunk) = bytes.try_next().await? {
                        file.write_all(&chunk).await.map_err(Error::io(to))?;
                    }
                    file.flush().await.map_err(Error::io(to))
                };
                let outcome = written.await;
                if outcome.is_err() {
                    let _ = tokio::fs::remove_file(to).await;
                }
                outcome
            }
        }
    }

    /// Whether the blob exists; its bytes are not verified.
    pub async fn exists(&self, digest: BlobDigest) -> Result<bool> {
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.exists(digest)).await
            }
            Backend::Bucket(bucket) => Ok(bucket.size(digest).await?.is_some()),
        }
    }

    /// Deletes the blob. The caller ensures that no reference to it remains.
    pub async fn delete(&self, digest: BlobDigest) -> Result<()> {
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.delete(digest)).await
            }
            Backend::Bucket(bucket) => bucket.delete(digest).await,
        }
    }

    /// Stores every file in `folder`, and the manifest as a blob of its own.
    ///
    /// Links to files in the folder are stored as files. Links out of it, links to folders, devices and names that are
    /// not UTF-8 are errors.
    pub async fn put_folder(&self, folder: &Path) -> Result<Manifest> {
        directory::put(self, folder).await
    }

    /// The manifest stored under `digest`.
    pub async fn get_manifest(&self, digest: BlobDigest) -> Result<Manifest> {
        let bytes = self.get_bytes(digest, MANIFEST_MAX_BYTES).await?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Corrupt(digest))?;
        Ok(Manifest::parse(&text)?)
    }

    /// Materializes the manifest's files in `to`, which is created when missing. An existing file is an error, and so is
    /// a link in place of a folder.
    pub async fn materialize_folder(&self, manifest: &Manifest, to: &Path, mode: LinkMode) -> Result<()> {
        directory::materialize(self, manifest, to, mode).await
    }
}

/// Streams `length` bytes of `file` from its current position.
fn read_stream(file: tokio::fs::File, length: u64) -> BlobStream {
    use tokio::io::AsyncReadExt;
    stream::try_unfold((file, length), |(mut file, left)| async move {
        let mut buffer = vec![0; CHUNK_BYTES.min(left as usize)];
        let read = file.read(&mut buffer).await.map_err(Error::io(Path::new("blob")))?;
        buffer.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(buffer), (file, left - read as u64))))
    })
    .boxed()
}

/// The same bytes, with an error at the end when they do not have the digest.
fn verified(bytes: BlobStream, digest: BlobDigest) -> BlobStream {
    stream::try_unfold((bytes, blake3::Hasher::new()), move |(mut bytes, mut hasher)| async move {
        match bytes.try_next().await? {
            Some(chunk) => {
                hasher.update(&chunk);
                Ok(Some((chunk, (bytes, hasher))))
            }
            None => files::verify(digest, hasher.finalize().into()).map(|()| None),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;
