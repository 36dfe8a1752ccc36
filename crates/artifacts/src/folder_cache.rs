//! Folders by content in local files, shared by all that read them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use perennial_core::blob::{BlobDigest, Manifest};

use crate::blobs::{Blobs, LinkMode};
use crate::error::Result;

/// Materialises folders on request. Callers that need the same content share one folder, which is removed with its
/// last [`CachedFolder`].
#[derive(Debug)]
pub struct FolderCache {
    blobs: Blobs,
    root: PathBuf,
    folders: Mutex<HashMap<BlobDigest, Weak<CachedFolder>>>,
}

/// A local folder with the content of a manifest. Its files are read-only.
#[derive(Debug)]
pub struct CachedFolder {
    digest: BlobDigest,
    path: PathBuf,
}

impl CachedFolder {
    /// Digest of the manifest.
    pub fn digest(&self) -> BlobDigest {
        self.digest
    }

    /// The folder's path, valid while this value lives.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for CachedFolder {
    fn drop(&mut self) {
        // Best effort: the server clears its work folder when it starts.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl FolderCache {
    /// A cache whose folders are created in `root`.
    pub fn new(blobs: Blobs, root: &Path) -> Self {
        Self { blobs, root: root.to_owned(), folders: Mutex::default() }
    }

    /// The folder with the content of `manifest`; its blobs are verified.
    pub async fn get(&self, manifest: &Manifest) -> Result<Arc<CachedFolder>> {
        let digest = manifest.digest();
        if let Some(folder) = self.find(digest) {
            return Ok(folder);
        }
        // A name of its own: another task may create or remove a folder of the same content meanwhile.
        let name = format!("{digest}-{}", uuid::Uuid::new_v4().simple());
        // Dropping it removes what an error left.
        let created = Arc::new(CachedFolder { digest, path: self.root.join(name) });
        self.blobs.materialize_folder(manifest, created.path(), LinkMode::Link).await?;
        Ok(self.insert(created))
    }

    fn find(&self, digest: BlobDigest) -> Option<Arc<CachedFolder>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)?.upgrade()
    }

    /// Shares `created`, unless another task was faster.
    fn insert(&self, created: Arc<CachedFolder>) -> Arc<CachedFolder> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = folders.get(&created.digest).and_then(Weak::upgrade) {
            return earlier;
        }
        folders.retain(|_, folder| folder.strong_count() > 0);
        folders.insert(created.digest, Arc::downgrade(&created));
        created
    }
}
