use perennial_core::ErrorCode;

use super::*;

fn asked(method: Method, headers: &[(&str, &str)]) -> Result<()> {
    let mut request = http::Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    judge(&request.body(()).unwrap().into_parts().0, &["ml.example.org".to_owned()])
}

#[test]
fn names_of_this_server_and_bare_addresses_pass() {
    for host in [
        "localhost",
        "localhost:8080",
        "LOCALHOST:1",
        "127.0.0.1:8080",
        "[::1]:8080",
        "10.0.0.7",
        "ml.example.org",
        "ML.example.org:443",
    ] {
        assert!(asked(Method::GET, &[("host", host)]).is_ok(), "{host}");
    }
}

#[test]
fn names_of_others_are_refused() {
    for host in ["evil.example.com", "localhost.evil.com", "ml.example.org.evil.com:80", "127.0.0.1.evil.com", ""] {
        assert_eq!(asked(Method::GET, &[("host", host)]).unwrap_err().code(), ErrorCode::CrossSite, "{host}");
    }
    assert!(asked(Method::GET, &[]).is_err());
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let here = ("host", "localhost:8080");
    assert!(asked(Method::POST, &[here, ("origin", "http://localhost:8080")]).is_ok());
    for origin in ["http://localhost:8081", "http://evil.example.com", "null", "https://localhost"] {
        assert_eq!(
            asked(Method::POST, &[here, ("origin", origin)]).unwrap_err().code(),
            ErrorCode::CrossSite,
            "{origin}"
        );
        assert!(asked(Method::GET, &[here, ("origin", origin)]).is_err(), "{origin}");
    }
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let cross = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
    assert!(asked(Method::GET, &cross).is_ok());
    assert!(asked(Method::POST, &cross).is_err());
    assert!(asked(Method::POST, &[("host", "localhost"), ("sec-fetch-site", "same-origin")]).is_ok());
}
