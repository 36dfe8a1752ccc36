use super::*;

fn field(media_type: &str, form: &[u8]) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    form_field(&headers, form)
}

#[test]
fn a_form_is_parsed_as_a_form() {
    let form = "application/x-www-form-urlencoded";
    for (text, expected) in [
        ("csrf_token=abc", Some("abc")),
        ("why=done+now&csrf_token=a%2Bb+c", Some("a+b c")),
        // A URI would end at `#`, and refuses a bare quote or a byte above 127.
        ("why=#1&csrf_token=abc", Some("abc")),
        ("why=\"so\"&csrf_token=abc", Some("abc")),
        ("why=déjà&csrf_token=abc", Some("abc")),
        ("why=%FF&csrf_token=abc", Some("abc")),
        ("other=abc", None),
        ("", None),
    ] {
        assert_eq!(field(form, text.as_bytes()).as_deref(), expected, "{text}");
    }
    assert_eq!(field("text/plain", b"csrf_token=abc"), None);
}

#[test]
fn a_token_is_accepted_as_a_whole_or_not_at_all() {
    assert!(verify(b"secret", "secret").is_ok());
    for sent in ["", "secre", "secret2", "Secret"] {
        assert!(verify(sent.as_bytes(), "secret").is_err(), "{sent}");
    }
    assert!(verify(b"", "").is_err(), "a session without a token accepts none");
}
