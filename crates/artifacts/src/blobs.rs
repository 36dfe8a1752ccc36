//! The store of blobs: one face for a folder and a bucket.

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
use crate::error::{Error, Result};
use crate::files::{self, CHUNK_BYTES, Temporary};
use crate::folder::Folder;
use crate::tree;

/// A blob's bytes as they come.
pub type BlobStream = BoxStream<'static, Result<Bytes>>;

/// The largest text of a manifest that is read back, bytes.
const MANIFEST_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a materialized file may share its bytes with the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A reflink, else a read-only hard link, else a copy. For files that nobody writes: a hard
    /// link written to in spite of its mode (root may) damages the blob, which the next read tells.
    Shared,
    /// A reflink, else a copy; the file may be written to.
    Own,
}

/// Blobs by content hash. Cheap to clone; calls may come from many tasks at once.
///
/// Every put is durable when it returns: in a folder the bytes, their name and new folders are
/// synced. A put that dies leaves nothing that a read could find.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: Place,
    /// Where bytes without a name yet are collected.
    spool: Folder,
    /// Removes the spool of a bucket when the last of these is gone.
    _spool: Option<Arc<Spool>>,
}

/// A folder for temporary files that is this process's alone: made anew, so that nobody had it before.
#[derive(Debug)]
struct Spool(PathBuf);

impl Spool {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("perennial-blobs-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean, like all of its kind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Clone)]
enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

/// Runs a blocking call where it does not hold up answers.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(Error::Worker)?
}

impl Blobs {
    /// Opens the folder at a path (made when missing), or a bucket and prefix at `s3://`, `gs://` or
    /// `az://`, with the credentials of the usual variables. `file://` URLs name folders too.
    pub fn open(place: &str) -> Result<Self> {
        let refuse = |why: &str| Error::Place { place: place.to_owned(), why: why.to_owned() };
        if !place.contains("://") {
            return Self::open_folder(Path::new(place));
        }
        let url = url::Url::parse(place).map_err(|error| refuse(&error.to_string()))?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| refuse("expected `file:///absolute/path`"))?;
            return Self::open_folder(&path);
        }
        Self::over(Bucket::open(&url)?)
    }

    /// Opens the folder at `path`, made when missing.
    pub fn open_folder(path: &Path) -> Result<Self> {
        let folder = Folder::open(path)?;
        Ok(Self { place: Place::Folder(folder.clone()), spool: folder, _spool: None })
    }

    /// Blobs below `prefix` of any object store.
    pub fn open_store(store: Arc<dyn object_store::ObjectStore>, prefix: &str) -> Result<Self> {
        let prefix = object_store::path::Path::parse(prefix)
            .map_err(|error| Error::Place { place: prefix.to_owned(), why: error.to_string() })?;
        Self::over(Bucket::new(store, prefix))
    }

    fn over(bucket: Bucket) -> Result<Self> {
        let spool = Spool::make()?;
        Ok(Self { place: Place::Bucket(bucket), spool: Folder::open(&spool.0)?, _spool: Some(Arc::new(spool)) })
    }

    /// Keeps `bytes`.
    pub async fn put_bytes(&self, bytes: impl Into<Bytes>) -> Result<Blob> {
        let bytes = bytes.into();
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.put_bytes(&bytes)).await
            }
            Place::Bucket(bucket) => bucket.put_bytes(bytes).await,
        }
    }

    /// Keeps a copy of the file (a reflink where the file system can); the file stays the caller's.
    pub async fn put_file(&self, path: &Path) -> Result<Blob> {
        let path = path.to_owned();
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.put_file(&path)).await
            }
            Place::Bucket(bucket) => {
                let named = path.clone();
                let blob = blocking(move || files::hash(&named)).await?;
                bucket.put_file(&path, blob).await?;
                Ok(blob)
            }
        }
    }

    /// Keeps what `incoming` brings, up to `limit_bytes`.
    pub async fn put_stream<S>(&self, mut incoming: S, limit_bytes: u64) -> Result<Blob>
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
        match &self.place {
            Place::Folder(folder) => {
                let (folder, temporary) = (folder.clone(), temporary.clone());
                blocking(move || folder.settle(&temporary, blob)).await?;
            }
            Place::Bucket(bucket) => bucket.put_file(&temporary, blob).await?,
        }
        drop(guard);
        Ok(blob)
    }

    /// The blob's bytes, compared with its name; refused when there are more than `limit_bytes`.
    pub async fn get_bytes(&self, digest: BlobDigest, limit_bytes: u64) -> Result<Vec<u8>> {
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.get_bytes(digest, limit_bytes)).await
            }
            Place::Bucket(bucket) => bucket.get_bytes(digest, limit_bytes).await,
        }
    }

    /// The blob's bytes as they come: all of them, where the last item is [`Error::Corrupt`] when
    /// they do not hash to the name; or those of `range`, which cannot be compared.
    pub async fn get_stream(&self, digest: BlobDigest, range: Option<Range<u64>>) -> Result<BlobStream> {
        let is_whole = range.is_none();
        let bytes = match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                let range = range.unwrap_or(0..u64::MAX);
                let (file, length) = blocking(move || folder.open_range(digest, &range)).await?;
                read_stream(tokio::fs::File::from_std(file), length)
            }
            Place::Bucket(bucket) => bucket.get_stream(digest, range).await?,
        };
        Ok(if is_whole { compared(bytes, digest) } else { bytes })
    }

    /// Puts the blob's content at `to`, which must not exist yet, compared with its name.
    pub async fn materialize(&self, digest: BlobDigest, to: &Path, share: Share) -> Result<()> {
        match &self.place {
            Place::Folder(folder) => {
                let (folder, to) = (folder.clone(), to.to_owned());
                blocking(move || folder.materialize(digest, &to, share)).await
            }
            Place::Bucket(_) => {
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

    /// Whether the blob is there; its bytes are not read.
    pub async fn exists(&self, digest: BlobDigest) -> Result<bool> {
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.exists(digest)).await
            }
            Place::Bucket(bucket) => Ok(bucket.size(digest).await?.is_some()),
        }
    }

    /// Removes the blob. Who still names it is the caller's to know.
    pub async fn delete(&self, digest: BlobDigest) -> Result<()> {
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.delete(digest)).await
            }
            Place::Bucket(bucket) => bucket.delete(digest).await,
        }
    }

    /// Keeps every file below `folder`, and the manifest as a blob under its own digest.
    ///
    /// Links to files inside the folder are kept as files; links that leave it, links to folders,
    /// devices and names that are no text are refused.
    pub async fn put_folder(&self, folder: &Path) -> Result<Manifest> {
        tree::put(self, folder).await
    }

    /// The manifest kept under `digest`.
    pub async fn get_manifest(&self, digest: BlobDigest) -> Result<Manifest> {
        let bytes = self.get_bytes(digest, MANIFEST_MAX_BYTES).await?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Corrupt(digest))?;
        Ok(Manifest::parse(&text)?)
    }

    /// Puts the manifest's files below `to`, which is made when missing. A file that is there
    /// already is an error, and so is a link on the way to one.
    pub async fn materialize_folder(&self, manifest: &Manifest, to: &Path, share: Share) -> Result<()> {
        tree::materialize(self, manifest, to, share).await
    }
}

/// `length` bytes of `file` from where it stands.
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

/// The same bytes, with an error at the end when they do not hash to `digest`.
fn compared(bytes: BlobStream, digest: BlobDigest) -> BlobStream {
    stream::try_unfold((bytes, blake3::Hasher::new()), move |(mut bytes, mut hasher)| async move {
        match bytes.try_next().await? {
            Some(chunk) => {
                hasher.update(&chunk);
                Ok(Some((chunk, (bytes, hasher))))
            }
            None => files::agree(digest, hasher.finalize().into()).map(|()| None),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;
