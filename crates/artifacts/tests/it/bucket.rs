//! Blobs in an S3-compatible server.

use std::process::{Command, Output};

use crate::noise;
use crate::s3_server::ObjectStore;

/// Runs the probe with a server as its endpoint.
fn probe(server: &ObjectStore, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perennial-artifacts-probe"))
        .args(arguments)
        .envs(server.variables())
        .output()
        .unwrap()
}

#[test]
fn a_folder_round_trips_through_a_bucket() {
    let server = ObjectStore::start();
    let temp = tempfile::TempDir::new().unwrap();
    let folder = temp.path().join("model");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    std::fs::write(folder.join("MLmodel"), "flavors").unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    // Larger than one request.
    std::fs::write(folder.join("data/large"), noise(1, 20_000_000)).unwrap();
    let folder = folder.to_str().unwrap();
    let in_bucket = probe(&server, &["s3://perennial/some/prefix", folder]);
    assert!(in_bucket.status.success(), "{}", String::from_utf8_lossy(&in_bucket.stderr));
    std::fs::remove_dir_all(temp.path().join("model.back")).unwrap();
    let in_folder = probe(&server, &[temp.path().join("blobs").to_str().unwrap(), folder]);
    assert_eq!(in_bucket.stdout, in_folder.stdout, "the digest does not depend on the backend");
}

#[test]
fn a_missing_bucket_is_a_clear_error() {
    let server = ObjectStore::start();
    let temp = tempfile::TempDir::new().unwrap();
    std::fs::write(temp.path().join("file"), "x").unwrap();
    let output = probe(&server, &["s3://gone/prefix", temp.path().to_str().unwrap()]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("NoSuchBucket"), "{stderr}");
}
