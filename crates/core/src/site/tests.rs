use super::cookie;

#[test]
fn a_cookie_is_found_among_others_by_its_whole_name() {
    let headers = ["a=1; perennial_session=secret", "b=2"];
    assert_eq!(cookie(headers, "perennial_session"), Some("secret"));
    assert_eq!(cookie(headers, "b"), Some("2"));
    for absent in ["session", "perennial", "c", ""] {
        assert_eq!(cookie(headers, absent), None, "{absent}");
    }
    assert_eq!(cookie(["a=b=c"], "a"), Some("b=c"));
}
