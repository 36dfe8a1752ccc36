use super::*;

fn object(modified_ns: i128, etag: Option<&str>) -> SourceFile {
    SourceFile { path: "a".into(), size_bytes: 7, modified_ns: Some(modified_ns), etag: etag.map(str::to_owned) }
}

#[test]
fn an_object_is_unchanged_by_its_tag_or_else_by_its_second_and_size() {
    let listed = object(5_123_000_000, Some("x"));
    assert!(
        is_same_object(&object(5_000_000_000, Some("x")), &listed),
        "a head request has a resolution of seconds, a list a finer one"
    );
    assert!(!is_same_object(&object(5_123_000_000, Some("y")), &listed));
    let untagged = object(5_123_000_000, None);
    assert!(is_same_object(&object(5_000_000_000, None), &untagged));
    assert!(!is_same_object(&object(6_000_000_000, None), &untagged));
    assert!(!is_same_object(&SourceFile { size_bytes: 8, ..untagged.clone() }, &untagged));
}
