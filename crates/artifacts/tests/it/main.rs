//! Blobs in a local folder, in an object store, and after a kill.

#![cfg(test)]

mod blobs;
mod bucket;
mod crash;
mod folder_cache;
mod folders;
#[path = "../../../testkit/src/s3_server.rs"]
#[expect(unreachable_pub, reason = "a module of testkit, which the tests of the layer below do not link")]
mod s3_server;

use perennial_artifacts::Blobs;
use tempfile::TempDir;

/// A store in a temporary folder.
fn store() -> (TempDir, Blobs) {
    let folder = TempDir::new().unwrap();
    let blobs = Blobs::open_folder(&folder.path().join("blobs")).unwrap();
    (folder, blobs)
}

/// A store over an object store in memory.
fn memory() -> Blobs {
    Blobs::open_store(std::sync::Arc::new(object_store::memory::InMemory::new()), "some/prefix").unwrap()
}

/// Pseudo-random bytes by `seed`.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
