use super::*;
use proptest::prelude::*;

fn file(path: &str, content: &str) -> ManifestFile {
    ManifestFile {
        path: path.parse().unwrap(),
        blob: Blob { digest: BlobDigest::of(content.as_bytes()), size_bytes: content.len() as u64 },
        is_executable: path.contains(".sh"),
    }
}

#[test]
fn a_digest_reads_back_and_refuses_anything_else() {
    let digest = BlobDigest::of(b"perennial");
    assert_eq!(digest.to_string().parse::<BlobDigest>().unwrap(), digest);
    for text in ["", "ab", &digest.to_string().to_uppercase(), &format!("{digest}0"), "../../etc/passwd"] {
        assert!(text.parse::<BlobDigest>().is_err(), "`{text}`");
    }
}

#[test]
fn the_order_of_files_does_not_change_a_manifest() {
    let one = Manifest::new(vec![file("b", "2"), file("a/x.sh", "1")]).unwrap();
    let other = Manifest::new(vec![file("a/x.sh", "1"), file("b", "2")]).unwrap();
    assert_eq!(one, other);
    assert_eq!(one.files()[0].path.as_str(), "a/x.sh");
    assert_eq!(one.file("b").unwrap().blob.size_bytes, 1);
    assert_eq!(one.file("c"), None);
}

#[test]
fn content_path_and_mode_each_change_the_digest() {
    let base = Manifest::new(vec![file("a", "1")]).unwrap().digest();
    let mut executable = file("a", "1");
    executable.is_executable = true;
    assert_ne!(Manifest::new(vec![file("a", "2")]).unwrap().digest(), base);
    assert_ne!(Manifest::new(vec![file("b", "1")]).unwrap().digest(), base);
    assert_ne!(Manifest::new(vec![executable]).unwrap().digest(), base);
}

#[test]
fn paths_that_clash_on_some_file_system_are_refused() {
    for pair in [["a", "a"], ["Model", "model"], ["a", "a/b"], ["A/b", "a"]] {
        let files = pair.iter().map(|path| file(path, "")).collect();
        assert!(Manifest::new(files).is_err(), "{pair:?}");
    }
    assert!(Manifest::new(vec![file("a", ""), file("a.b", ""), file("ab/c", "")]).is_ok());
}

#[test]
fn a_damaged_manifest_is_an_error() {
    for text in ["", "something else\n", "perennial manifest 1\nabc\n", "perennial manifest 1\nx 1 - a\n"] {
        assert!(Manifest::parse(text).is_err(), "`{}`", text.escape_debug());
    }
}

proptest! {
    #[test]
    fn a_manifest_reads_back_from_its_text(paths in prop::collection::btree_set("[a-z]{1,3}(/[a-z 0-9.]{1,3}[a-z])?", 0..12)) {
        let files = paths.iter().map(|path| file(path, path)).collect();
        if let Ok(manifest) = Manifest::new(files) {
            prop_assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
        }
    }
}
