//! Blobs by content hash over an object store.
//!
//! [`Blobs`] keeps bytes under their BLAKE3 digest, in a folder or in an S3
//! bucket, and folders as [`Manifest`]s of such blobs. What was put is durable
//! when the call returns; what is read is compared with its name.

mod blobs;
mod bucket;
mod error;
mod files;
mod folder;
mod tree;

pub use blobs::{BlobStream, Blobs, Share};
pub use error::{Error, Result};
pub use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
pub use perennial_core::path::RelativePath;
