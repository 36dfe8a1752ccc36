//! Blobs by content hash over an object store.
//!
//! [`Blobs`] stores bytes under their BLAKE3 digest, in a local folder or in a
//! bucket of an object store, and folders as [`Manifest`]s of such blobs. A put
//! is durable when it returns; a read verifies the digest.

mod blobs;
mod bucket;
mod directory;
mod error;
mod files;
mod folder;
mod folder_cache;

pub mod remote;

pub use blobs::{BlobStream, Blobs, LinkMode};
pub use error::{Error, Result};
pub use folder_cache::{CachedFolder, FolderCache};
pub use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
pub use perennial_core::path::RelativePath;
