use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use perennial_artifacts::{BlobDigest, Blobs, Error, LinkMode};
use perennial_core::ErrorCode;

use crate::{memory, noise, store};

fn blob_path(root: &Path, digest: BlobDigest) -> PathBuf {
    let name = digest.to_string();
    root.join("blobs").join(&name[..2]).join(&name)
}

/// Flips one bit of the blob and keeps its size.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

async fn read_whole(blobs: &Blobs, digest: BlobDigest) -> Result<Vec<u8>, Error> {
    let chunks: Vec<Bytes> = blobs.get_stream(digest, None).await?.try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn a_stored_blob_is_read_back_by_its_digest() {
    let (_folder, local) = store();
    for blobs in [local, memory()] {
        for size in [0, 1, 300_000] {
            let bytes = noise(1, size);
            let blob = blobs.put_bytes(bytes.clone()).await.unwrap();
            assert_eq!(blob.digest, BlobDigest::of(&bytes));
            assert_eq!(blob.size_bytes, size as u64);
            assert!(blobs.exists(blob.digest).await.unwrap());
            assert_eq!(blobs.get_bytes(blob.digest, size as u64).await.unwrap(), bytes);
            assert_eq!(read_whole(&blobs, blob.digest).await.unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn bytes_file_and_stream_produce_the_same_blob() {
    let (folder, local) = store();
    let bytes = noise(2, 9_000_000);
    let path = folder.path().join("file");
    std::fs::write(&path, &bytes).unwrap();
    for blobs in [local, memory()] {
        let file = blobs.put_file(&path).await.unwrap();
        let chunks = stream::iter(bytes.chunks(70_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))));
        assert_eq!(blobs.put_stream(chunks, u64::MAX).await.unwrap(), file);
        assert_eq!(blobs.put_bytes(bytes.clone()).await.unwrap(), file);
        assert_eq!(blobs.get_bytes(file.digest, u64::MAX).await.unwrap(), bytes);
    }
    assert!(path.exists(), "storing a file does not remove it");
}

#[tokio::test]
async fn a_range_is_clamped_to_the_blob() {
    let (_folder, local) = store();
    for blobs in [local, memory()] {
        let blob = blobs.put_bytes(&b"0123456789"[..]).await.unwrap();
        for (range, expected) in [(2..5, "234"), (8..100, "89"), (10..12, ""), (50..60, ""), (0..10, "0123456789")] {
            let chunks: Vec<Bytes> =
                blobs.get_stream(blob.digest, Some(range)).await.unwrap().try_collect().await.unwrap();
            assert_eq!(chunks.concat(), expected.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_missing_blob_is_named() {
    let (folder, local) = store();
    let digest = BlobDigest::of(b"nothing");
    for blobs in [local, memory()] {
        let failures = [
            blobs.get_bytes(digest, 1).await.err(),
            blobs.get_stream(digest, None).await.err(),
            blobs.delete(digest).await.err(),
            blobs.materialize(digest, &folder.path().join("x"), LinkMode::Copy).await.err(),
        ];
        for failure in failures {
            let error = perennial_core::Error::from(failure.unwrap());
            assert_eq!(error.code(), ErrorCode::NotFound);
            assert_eq!(error.message(), format!("blob `{digest}` does not exist"));
        }
        assert!(!blobs.exists(digest).await.unwrap());
    }
    assert!(!folder.path().join("x").exists());
}

#[tokio::test]
async fn a_deleted_blob_is_gone() {
    let (_folder, local) = store();
    for blobs in [local, memory()] {
        let blob = blobs.put_bytes(&b"soon gone"[..]).await.unwrap();
        blobs.delete(blob.digest).await.unwrap();
        assert!(!blobs.exists(blob.digest).await.unwrap());
    }
}

#[tokio::test]
async fn more_bytes_than_the_callers_limit_are_refused() {
    let (_folder, local) = store();
    for blobs in [local, memory()] {
        let blob = blobs.put_bytes(&b"0123456789"[..]).await.unwrap();
        let error = perennial_core::Error::from(blobs.get_bytes(blob.digest, 9).await.unwrap_err());
        assert_eq!(error.code(), ErrorCode::TooLarge);
        let incoming = stream::iter([Ok(Bytes::from_static(b"01234")), Ok(Bytes::from_static(b"56789"))]);
        assert!(matches!(blobs.put_stream(incoming, 9).await, Err(Error::TooLarge { .. })));
    }
}

#[tokio::test]
async fn bytes_with_another_digest_than_expected_change_nothing() {
    let (folder, local) = store();
    for blobs in [local, memory()] {
        let present = blobs.put_bytes(&b"present"[..]).await.unwrap();
        let expected = BlobDigest::of(b"expected");
        for found in [&b"present"[..], b"new"] {
            let incoming = stream::iter([Ok(Bytes::from_static(found))]);
            let error = blobs.put_stream_expecting(expected, incoming, 100).await.unwrap_err();
            assert!(matches!(error, Error::Unexpected { found: digest, .. } if digest == BlobDigest::of(found)));
        }
        assert_eq!(blobs.get_bytes(present.digest, 100).await.unwrap(), b"present");
        for digest in [expected, BlobDigest::of(b"new")] {
            assert!(!blobs.exists(digest).await.unwrap());
        }
        let incoming = stream::iter([Ok(Bytes::from_static(b"expected"))]);
        assert_eq!(blobs.put_stream_expecting(expected, incoming, 100).await.unwrap().digest, expected);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("blobs/unfinished")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_interrupted_upload_leaves_no_file() {
    let (folder, blobs) = store();
    let incoming = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    assert!(matches!(blobs.put_stream(incoming, 100).await, Err(Error::Incoming(_))));
    let left = std::fs::read_dir(folder.path().join("blobs/unfinished")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn every_read_of_a_damaged_blob_is_an_error() {
    let (folder, blobs) = store();
    let blob = blobs.put_bytes(noise(3, 600_000)).await.unwrap();
    damage(&blob_path(folder.path(), blob.digest));
    let to = folder.path().join("out");
    let failures = [
        blobs.get_bytes(blob.digest, u64::MAX).await.err(),
        read_whole(&blobs, blob.digest).await.err(),
        blobs.materialize(blob.digest, &to, LinkMode::Link).await.err(),
        blobs.materialize(blob.digest, &to, LinkMode::Copy).await.err(),
    ];
    for failure in failures {
        let error = perennial_core::Error::from(failure.unwrap());
        assert_eq!(error.code(), ErrorCode::Corrupt);
        assert_eq!(error.message(), format!("blob `{}` is damaged: its bytes no longer hash to its name", blob.digest));
        assert!(error.hint().is_some());
    }
    assert!(!to.exists(), "no file with damaged bytes remains");
}

#[tokio::test]
async fn damage_in_an_object_store_is_an_error() {
    let memory = std::sync::Arc::new(object_store::memory::InMemory::new());
    let blobs = Blobs::open_store(memory.clone(), "p").unwrap();
    let blob = blobs.put_bytes(&b"good"[..]).await.unwrap();
    let name = blob.digest.to_string();
    let key = object_store::path::Path::from(format!("p/{}/{name}", &name[..2]));
    object_store::ObjectStoreExt::put(memory.as_ref(), &key, "evil".into()).await.unwrap();
    assert!(matches!(blobs.get_bytes(blob.digest, 10).await, Err(Error::Corrupt(_))));
    let mut stream = blobs.get_stream(blob.digest, None).await.unwrap();
    let mut last = None;
    while let Some(item) = stream.next().await {
        last = Some(item);
    }
    assert!(matches!(last, Some(Err(Error::Corrupt(_)))));
}

#[tokio::test]
async fn a_damaged_blob_is_repaired_by_the_next_put_of_its_bytes() {
    let (folder, local) = store();
    let object_store = std::sync::Arc::new(object_store::memory::InMemory::new());
    let bucket = Blobs::open_store(object_store.clone(), "p").unwrap();
    // In a bucket a large blob is read before it is uploaded again.
    for size in [1000, 9_000_000] {
        let bytes = noise(4, size);
        let mut flipped = bytes.clone();
        flipped[0] ^= 1;
        let file = folder.path().join("file");
        std::fs::write(&file, &bytes).unwrap();
        for damaged in [bytes[..500].to_vec(), flipped] {
            for put in ["bytes", "file", "stream"] {
                for blobs in [&local, &bucket] {
                    let blob = blobs.put_bytes(bytes.clone()).await.unwrap();
                    damage_with(folder.path(), &object_store, blob.digest, &damaged).await;
                    let again = match put {
                        "bytes" => blobs.put_bytes(bytes.clone()).await,
                        "file" => blobs.put_file(&file).await,
                        _ => blobs.put_stream(stream::iter([Ok(Bytes::from(bytes.clone()))]), u64::MAX).await,
                    };
                    assert_eq!(again.unwrap(), blob);
                    assert_eq!(blobs.get_bytes(blob.digest, u64::MAX).await.unwrap(), bytes, "{put} of {size} bytes");
                }
            }
        }
    }
}

/// Replaces the stored bytes of a blob in both stores.
async fn damage_with(
    root: &Path,
    objects: &std::sync::Arc<object_store::memory::InMemory>,
    digest: BlobDigest,
    bytes: &[u8],
) {
    let path = blob_path(root, digest);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
    let name = digest.to_string();
    let key = object_store::path::Path::from(format!("p/{}/{name}", &name[..2]));
    object_store::ObjectStoreExt::put(objects.as_ref(), &key, bytes.to_vec().into()).await.unwrap();
}

#[tokio::test]
async fn materialized_files_have_the_content_and_link_mode() {
    let (folder, blobs) = store();
    let blob = blobs.put_bytes(&b"content"[..]).await.unwrap();
    let copy = folder.path().join("copy");
    blobs.materialize(blob.digest, &copy, LinkMode::Copy).await.unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), b"content");
    std::fs::write(&copy, "changed").unwrap();
    assert_eq!(blobs.get_bytes(blob.digest, 10).await.unwrap(), b"content", "a copy is independent of the blob");
    let link = folder.path().join("link");
    blobs.materialize(blob.digest, &link, LinkMode::Link).await.unwrap();
    assert_eq!(std::fs::read(&link).unwrap(), b"content");
    let (stored, linked) = (std::fs::metadata(blob_path(folder.path(), blob.digest)), std::fs::metadata(&link));
    let (stored, linked) = (stored.unwrap(), linked.unwrap());
    // Hard links are read-only; with reflinks the file has its own inode.
    assert_eq!(linked.ino() == stored.ino(), linked.permissions().mode() & 0o222 == 0);
}

#[tokio::test]
async fn an_existing_file_is_never_replaced() {
    let (folder, local) = store();
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    for blobs in [local, memory()] {
        let blob = blobs.put_bytes(&b"content"[..]).await.unwrap();
        for mode in [LinkMode::Copy, LinkMode::Link] {
            assert!(blobs.materialize(blob.digest, &precious, mode).await.is_err());
            assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
        }
    }
}

#[tokio::test]
async fn unsupported_locations_are_refused() {
    for location in ["hdfs://host/x", "ftp://host/x", "http://host/x", "://"] {
        let error = Blobs::open(location).unwrap_err();
        assert!(matches!(error, Error::Location { .. }), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_url_names_a_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = url::Url::from_file_path(folder.path().join("with space")).unwrap();
    let blobs = Blobs::open(url.as_str()).unwrap();
    blobs.put_bytes(&b"x"[..]).await.unwrap();
    assert!(folder.path().join("with space").is_dir());
}
