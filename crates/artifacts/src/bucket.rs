//! Blobs in an object store, at `<prefix>/<first two digits>/<digest>`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt, WriteMultipart};
use perennial_core::blob::{Blob, BlobDigest};
use perennial_core::object_url::ObjectUrl;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::files::CHUNK_BYTES;
use crate::remote;

/// Blobs up to this size are uploaded in one request.
const ONE_REQUEST_BYTES: u64 = 8 * 1024 * 1024;

/// How long a store may take to answer at the start of a server.
const PROBE_LIMIT: Duration = Duration::from_secs(8);

/// The number of parts of one upload that are sent concurrently.
const UPLOAD_CONCURRENCY: usize = 4;

/// A bucket, or the objects below a prefix of one.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// The innermost cause of an error: those around it repeat it.
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

impl Bucket {
    /// Opens `s3://`, `gs://` or `az://` `bucket/prefix`; credentials, region and endpoint come from the
    /// standard variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
    pub(crate) fn open(location: &str) -> Result<Self> {
        let invalid = |reason: String| Error::Location { location: location.to_owned(), reason };
        let url = ObjectUrl::parse_prefix(location).map_err(|error| invalid(error.message().to_owned()))?;
        let store = remote::open(url.scheme(), url.bucket()).map_err(|error| invalid(error.to_string()))?;
        let prefix = Key::parse(url.key()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { store, prefix })
    }

    /// Asks the store of a location for one object, without retries.
    pub(crate) async fn probe(location: &str) -> Result<()> {
        let unreachable = |reason: String| Error::Unreachable { location: location.to_owned(), reason };
        let url = ObjectUrl::parse_prefix(location).map_err(|error| unreachable(error.message().to_owned()))?;
        let key = format!("{}/probe", url.key().trim_end_matches('/'));
        match timeout(PROBE_LIMIT, remote::probe(url.scheme(), url.bucket(), key.trim_start_matches('/'))).await {
            Ok(answered) => answered.map_err(|error| unreachable(last_cause(&error))),
            Err(_) => Err(unreachable(format!("no answer within {} s", PROBE_LIMIT.as_secs()))),
        }
    }

    /// Uses the objects below `prefix` of any object store.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Key) -> Self {
        Self { store, prefix }
    }

    fn key(&self, digest: BlobDigest) -> Key {
        let name = digest.to_string();
        self.prefix.clone().join(&name[..2]).join(name.as_str())
    }

    /// The blob's size; `None` when it does not exist.
    pub(crate) async fn size(&self, digest: BlobDigest) -> Result<Option<u64>> {
        match self.store.head(&self.key(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the blob is stored and undamaged. Its bytes are read: a put of the same bytes repairs damage.
    async fn holds(&self, blob: Blob) -> Result<bool> {
        if self.size(blob.digest).await? != Some(blob.size_bytes) {
            return Ok(false);
        }
        let mut stored = self.get_stream(blob.digest, None).await?;
        let mut hasher = blake3::Hasher::new();
        while let Some(chunk) = stored.try_next().await? {
            hasher.update(&chunk);
        }
        Ok(BlobDigest::from(hasher.finalize()) == blob.digest)
    }

    /// Uploads `bytes`. One request replaces a damaged blob for the price of asking whether it is stored.
    pub(crate) async fn put_bytes(&self, bytes: Bytes) -> Result<Blob> {
        let blob = Blob { digest: BlobDigest::of(&bytes), size_bytes: bytes.len() as u64 };
        if blob.size_bytes <= ONE_REQUEST_BYTES || !self.holds(blob).await? {
            self.store.put(&self.key(blob.digest), bytes.into()).await?;
        }
        Ok(blob)
    }

    /// Uploads the file at `path`, whose content was `blob`; returns [`Error::Changed`] when it has changed since.
    pub(crate) async fn put_file(&self, path: &Path, blob: Blob) -> Result<()> {
        let key = self.key(blob.digest);
        if blob.size_bytes <= ONE_REQUEST_BYTES {
            let bytes = tokio::fs::read(path).await.map_err(Error::io(path))?;
            verify_unchanged(path, BlobDigest::of(&bytes), blob)?;
            self.store.put(&key, bytes.into()).await?;
            return Ok(());
        }
        if self.holds(blob).await? {
            return Ok(());
        }
        let mut file = tokio::fs::File::open(path).await.map_err(Error::io(path))?;
        let mut upload = WriteMultipart::new(self.store.put_multipart(&key).await?);
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = file.read(&mut buffer).await.map_err(Error::io(path))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            upload.wait_for_capacity(UPLOAD_CONCURRENCY).await?;
            upload.write(&buffer[..read]);
        }
        if let Err(error) = verify_unchanged(path, hasher.finalize().into(), blob) {
            upload.abort().await?;
            return Err(error);
        }
        upload.finish().await?;
        Ok(())
    }

    async fn get(&self, digest: BlobDigest, options: GetOptions) -> Result<GetResult> {
        match self.store.get_opts(&self.key(digest), options).await {
            Err(object_store::Error::NotFound { .. }) => Err(Error::NotFound(digest)),
            other => Ok(other?),
        }
    }

    pub(crate) async fn get_bytes(&self, digest: BlobDigest, limit_bytes: u64) -> Result<Vec<u8>> {
        let result = self.get(digest, GetOptions::default()).await?;
        let size_bytes = result.meta.size;
        if size_bytes > limit_bytes {
            return Err(Error::TooLarge { digest, size_bytes, limit_bytes });
        }
        let bytes = result.bytes().await?;
        crate::files::verify(digest, BlobDigest::of(&bytes))?;
        Ok(bytes.into())
    }

    /// The bytes of `range`, or all bytes.
    pub(crate) async fn get_stream(
        &self,
        digest: BlobDigest,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let size = self.size(digest).await?.ok_or(Error::NotFound(digest))?;
        let range = range.map(|range| range.start.min(size)..range.end.min(size));
        if range.as_ref().is_some_and(std::ops::Range::is_empty) {
            return Ok(futures::stream::empty().boxed());
        }
        let result = self.get(digest, GetOptions::new().with_range(range)).await?;
        Ok(result.into_stream().map_err(Error::from).boxed())
    }

    pub(crate) async fn delete(&self, digest: BlobDigest) -> Result<()> {
        // Object stores differ in whether deleting a missing object is an error; here it always is.
        if self.size(digest).await?.is_none() {
            return Err(Error::NotFound(digest));
        }
        Ok(self.store.delete(&self.key(digest)).await?)
    }
}

/// Returns [`Error::Changed`] when the digest is not the expected one.
fn verify_unchanged(path: &Path, found: BlobDigest, blob: Blob) -> Result<()> {
    if found == blob.digest { Ok(()) } else { Err(Error::Changed(path.to_owned())) }
}
