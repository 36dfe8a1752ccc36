use super::*;

fn built(name: &str) -> BuiltWheel {
    BuiltWheel { name: name.to_owned(), version: "1.0".to_owned(), digest: "b".repeat(64) }
}

#[test]
fn the_lock_has_the_digest_of_the_built_wheel_alone() {
    let lock = "Doc_opt==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\nsix==1.16.0 --hash=sha256:cc\n";
    let digest = "b".repeat(64);
    let pinned = pin(lock, &[built("doc-opt")]).unwrap();
    assert_eq!(pinned, format!("doc-opt==1.0 --hash=sha256:{digest}\nsix==1.16.0 --hash=sha256:cc\n"));
}

#[test]
fn a_lock_without_the_built_package_or_without_hashes_is_refused() {
    assert!(pin("six==1.16.0 --hash=sha256:cc\n", &[built("doc-opt")]).is_err());
    assert!(pin("doc-opt==1.0\nsix==1.16.0\n", &[built("doc-opt")]).is_err());
}
