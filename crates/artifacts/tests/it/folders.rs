use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use perennial_artifacts::{Error, LinkMode};

use crate::{memory, noise, store};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[tokio::test]
async fn a_folder_round_trips() {
    let (temp, local) = store();
    let root = temp.path().join("model");
    write(&root, &[("MLmodel", "flavors"), ("data/model.onnx", "bytes"), ("data/deep/er", ""), ("run.sh", "echo")]);
    std::fs::set_permissions(root.join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (index, blobs) in [local, memory()].into_iter().enumerate() {
        let manifest = blobs.put_folder(&root).await.unwrap();
        let paths: Vec<&str> = manifest.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["MLmodel", "data/deep/er", "data/model.onnx", "run.sh"]);
        assert_eq!(blobs.get_manifest(manifest.digest()).await.unwrap(), manifest);
        for mode in [LinkMode::Copy, LinkMode::Link] {
            let out = temp.path().join(format!("out-{index}-{mode:?}"));
            blobs.materialize_folder(&manifest, &out, mode).await.unwrap();
            assert_eq!(blobs.put_folder(&out).await.unwrap().digest(), manifest.digest());
        }
    }
}

#[tokio::test]
async fn many_files_are_stored() {
    let (temp, blobs) = store();
    let root = temp.path().join("many");
    std::fs::create_dir(&root).unwrap();
    for number in 0..300 {
        std::fs::write(root.join(format!("{number}")), noise(number, 1000)).unwrap();
    }
    let manifest = blobs.put_folder(&root).await.unwrap();
    assert_eq!(manifest.files().len(), 300);
    assert_eq!(manifest.size_bytes(), 300_000);
}

#[tokio::test]
async fn a_link_inside_the_folder_is_stored_as_a_file() {
    let (temp, blobs) = store();
    let root = temp.path().join("f");
    write(&root, &[("real", "content")]);
    symlink("real", root.join("link")).unwrap();
    let manifest = blobs.put_folder(&root).await.unwrap();
    assert_eq!(manifest.file("link").unwrap().blob, manifest.file("real").unwrap().blob);
}

/// The expected message about an entry `x` of a folder, and a function that creates it.
type Case<'a> = (&'a str, &'a dyn Fn(&Path));

#[tokio::test]
async fn entries_that_could_leak_other_files_are_refused_by_name() {
    let (temp, blobs) = store();
    write(temp.path(), &[("secret", "outside"), ("f-other/x", "")]);
    let cases: [Case<'_>; 5] = [
        ("a link to a file outside the folder", &|root| symlink("../secret", root.join("x")).unwrap()),
        // The target's path starts with the folder's path.
        ("a link to a file outside the folder", &|root| symlink("../f-other/x", root.join("x")).unwrap()),
        ("a broken link", &|root| symlink("gone", root.join("x")).unwrap()),
        ("neither a file nor a link to a file", &|root| symlink(".", root.join("x")).unwrap()),
        ("neither a file nor a link to a file", &|root| {
            std::os::unix::net::UnixListener::bind(root.join("x")).unwrap();
        }),
    ];
    for (expected, make) in cases {
        let root = temp.path().join("f");
        std::fs::create_dir(&root).unwrap();
        make(&root);
        let error = blobs.put_folder(&root).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("/f/x`"), "{error}");
        std::fs::remove_dir_all(&root).unwrap();
    }
}

#[tokio::test]
async fn names_that_differ_only_by_case_are_refused() {
    let (temp, blobs) = store();
    let root = temp.path().join("f");
    write(&root, &[("Model/a", "1"), ("model/A", "2")]);
    assert!(matches!(blobs.put_folder(&root).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn materializing_never_follows_a_link() {
    let (temp, blobs) = store();
    let root = temp.path().join("f");
    write(&root, &[("data/x", "content")]);
    let manifest = blobs.put_folder(&root).await.unwrap();
    let outside = temp.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let to = temp.path().join("to");
    std::fs::create_dir(&to).unwrap();
    symlink(&outside, to.join("data")).unwrap();
    assert!(matches!(blobs.materialize_folder(&manifest, &to, LinkMode::Copy).await, Err(Error::Refused { .. })));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let (temp, blobs) = store();
    let error = blobs.put_folder(&temp.path().join("gone")).await.unwrap_err();
    assert!(error.to_string().contains("/gone`"), "{error}");
}
