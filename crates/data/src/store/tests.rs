use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::*;

fn fixture() -> (tempfile::TempDir, DurableFolder, Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Path::from_absolute_path(folder.path().canonicalize().expect("a path")).expect("a path");
    (folder, DurableFolder::new(), path)
}

async fn text(store: &DurableFolder, path: &Path) -> String {
    let bytes = store.get(path).await.expect("an object").bytes().await.expect("bytes");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn an_existing_object_is_not_created_again() {
    let (_folder, store, root) = fixture();
    let path = root.clone().join("deep").join("a.json");
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&path, PutPayload::from_static(b"first"), create()).await.expect("created");
    let again = store.put_opts(&path, PutPayload::from_static(b"second"), create()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(text(&store, &path).await, "first");
    store.put(&path, PutPayload::from_static(b"third")).await.expect("overwritten");
    assert_eq!(text(&store, &path).await, "third");
}

#[tokio::test]
async fn an_upload_is_an_object_once_it_is_complete() {
    let (_folder, store, root) = fixture();
    let path = root.clone().join("big");
    let mut upload: Box<dyn MultipartUpload> = store.put_multipart(&path).await.expect("an upload");
    let first = upload.put_part(PutPayload::from_static(b"one "));
    let second = upload.put_part(PutPayload::from_static(b"two"));
    second.await.expect("a part");
    first.await.expect("a part");
    assert!(store.head(&path).await.is_err(), "the object does not exist before completion");
    let listed: Vec<_> = store.list(Some(&root)).try_collect().await.expect("a list");
    assert!(listed.is_empty(), "unfinished files are not listed: {listed:?}");
    upload.complete().await.expect("complete");
    assert_eq!(text(&store, &path).await, "one two");
}

#[tokio::test]
async fn a_copy_is_an_independent_object() {
    let (folder, store, root) = fixture();
    let (a, b) = (root.clone().join("a"), root.clone().join("b"));
    store.put(&a, PutPayload::from_static(b"x")).await.expect("an object");
    store.copy(&a, &b).await.expect("a copy");
    assert!(matches!(store.copy_if_not_exists(&a, &b).await, Err(Error::AlreadyExists { .. })));
    assert_eq!(text(&store, &b).await, "x");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "no other file remains");
}

#[test]
fn a_root_is_a_path_or_a_url_of_a_supported_scheme() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("with space");
    let by_path = Root::open(path.to_str().expect("text")).expect("a root");
    let url = Url::from_directory_path(&path).expect("a url");
    let by_url = Root::open(url.as_str()).expect("a root");
    assert_eq!(by_path.url, by_url.url);
    assert_eq!(by_path.table_url("a/b.c").expect("a table").path(), format!("{}a/b.c/", by_path.url.path()));
    for root in ["ftp://x/y", "hdfs://bucket"] {
        assert!(matches!(Root::open(root), Err(crate::error::Error::Argument(_))), "{root}");
    }
}
