use std::sync::Arc;

use perennial_artifacts::{Error, FolderCache};

use crate::store;

#[tokio::test]
async fn callers_of_the_same_content_share_a_folder_until_the_last_drops_it() {
    let (temp, blobs) = store();
    let root = temp.path().join("model");
    std::fs::create_dir_all(root.join("data")).unwrap();
    std::fs::write(root.join("data/model.onnx"), "bytes").unwrap();
    let manifest = blobs.put_folder(&root).await.unwrap();
    let cache = FolderCache::new(blobs, &temp.path().join("cache"));
    let (first, second) = (cache.get(&manifest).await.unwrap(), cache.get(&manifest).await.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.digest(), manifest.digest());
    let path = first.path().to_owned();
    assert_eq!(std::fs::read_to_string(path.join("data/model.onnx")).unwrap(), "bytes");
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
    let again = cache.get(&manifest).await.unwrap();
    assert_eq!(std::fs::read_to_string(again.path().join("data/model.onnx")).unwrap(), "bytes");
}

#[tokio::test]
async fn concurrent_callers_get_the_same_folder() {
    let (temp, blobs) = store();
    let root = temp.path().join("model");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("model.onnx"), "bytes").unwrap();
    let manifest = blobs.put_folder(&root).await.unwrap();
    let cache = FolderCache::new(blobs, &temp.path().join("cache"));
    let (first, second) = tokio::join!(cache.get(&manifest), cache.get(&manifest));
    assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    assert_eq!(std::fs::read_dir(temp.path().join("cache")).unwrap().count(), 0, "both are dropped");
}

#[tokio::test]
async fn a_missing_blob_is_an_error_and_leaves_no_folder() {
    let (temp, blobs) = store();
    let root = temp.path().join("model");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("model.onnx"), "bytes").unwrap();
    let manifest = blobs.put_folder(&root).await.unwrap();
    blobs.delete(manifest.file("model.onnx").unwrap().blob.digest).await.unwrap();
    let cache = FolderCache::new(blobs, &temp.path().join("cache"));
    assert!(matches!(cache.get(&manifest).await, Err(Error::NotFound(_))));
    assert_eq!(std::fs::read_dir(temp.path().join("cache")).unwrap().count(), 0);
}
