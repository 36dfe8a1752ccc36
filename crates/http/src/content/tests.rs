use super::*;

fn select(headers: &[(header::HeaderName, &str)]) -> Selection {
    let content = Content::new("text/plain", 10, "abc").unwrap();
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
    content.select(&headers.collect())
}

#[test]
fn one_satisfiable_range_selects_a_part() {
    for (range, expected) in [
        ("bytes=2-4", Selection::Part(2..5)),
        ("bytes=2-", Selection::Part(2..10)),
        ("bytes=0-99", Selection::Part(0..10)),
        ("bytes=-3", Selection::Part(7..10)),
        ("bytes=9-18446744073709551615", Selection::Part(9..10)),
        ("bytes=10-", Selection::Unsatisfiable),
        ("bytes=-0", Selection::Unsatisfiable),
        ("bytes=-11", Selection::Whole),
        ("bytes=4-2", Selection::Whole),
        ("bytes=0-1,3-4", Selection::Whole),
        ("bytes=a-b", Selection::Whole),
        ("bytes=-", Selection::Whole),
        ("lines=1-2", Selection::Whole),
    ] {
        assert_eq!(select(&[(header::RANGE, range)]), expected, "{range}");
    }
    assert_eq!(select(&[]), Selection::Whole);
}

#[test]
fn content_that_the_client_has_is_not_sent_again() {
    for (etags, expected) in [
        ("\"abc\"", Selection::NotModified),
        ("\"x\", \"abc\"", Selection::NotModified),
        ("W/\"abc\"", Selection::NotModified),
        ("*", Selection::NotModified),
        ("\"x\"", Selection::Whole),
    ] {
        assert_eq!(select(&[(header::IF_NONE_MATCH, etags)]), expected, "{etags}");
    }
}

#[test]
fn a_range_of_other_content_gets_all_of_this() {
    let range = (header::RANGE, "bytes=2-4");
    assert_eq!(select(&[range.clone(), (header::IF_RANGE, "\"abc\"")]), Selection::Part(2..5));
    assert_eq!(select(&[range.clone(), (header::IF_RANGE, "\"x\"")]), Selection::Whole);
    assert_eq!(select(&[range, (header::IF_MATCH, "\"x\"")]), Selection::PreconditionFailed);
}

fn header(response: &Response, name: &header::HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn the_response_states_what_was_selected() {
    let content = Content::new("text/plain", 10, "abc").unwrap();
    let part = content.response(&Selection::Part(2..5), Body::from("234"));
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    for (name, expected) in [
        (header::CONTENT_RANGE, "bytes 2-4/10"),
        (header::CONTENT_LENGTH, "3"),
        (header::CONTENT_TYPE, "text/plain"),
        (header::ETAG, "\"abc\""),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        assert_eq!(header(&part, &name).as_deref(), Some(expected), "{name}");
    }
    let held = content.response(&Selection::NotModified, Body::empty());
    assert_eq!((held.status(), header(&held, &header::ETAG)), (StatusCode::NOT_MODIFIED, Some("\"abc\"".to_owned())));
    let beyond = content.response(&Selection::Unsatisfiable, Body::empty());
    assert_eq!(header(&beyond, &header::CONTENT_RANGE).as_deref(), Some("bytes */10"));
}
