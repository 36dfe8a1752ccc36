use super::*;

fn seen(modified_ns: i128, etag: Option<&str>) -> SourceFile {
    SourceFile { path: "a".into(), size_bytes: 7, modified_ns: Some(modified_ns), etag: etag.map(str::to_owned) }
}

#[test]
fn an_object_is_the_same_by_its_tag_or_else_by_its_second_and_size() {
    let listed = seen(5_123_000_000, Some("x"));
    assert!(is_same_object(&seen(5_000_000_000, Some("x")), &listed), "a head tells seconds where a list tells more");
    assert!(!is_same_object(&seen(5_123_000_000, Some("y")), &listed));
    let untagged = seen(5_123_000_000, None);
    assert!(is_same_object(&seen(5_000_000_000, None), &untagged));
    assert!(!is_same_object(&seen(6_000_000_000, None), &untagged));
    assert!(!is_same_object(&SourceFile { size_bytes: 8, ..untagged.clone() }, &untagged));
}
