use perennial_core::ErrorCode;

use super::*;

fn check(method: Method, headers: &[(&str, &str)]) -> Result<()> {
    check_target("/", method, headers)
}

fn check_target(target: &str, method: Method, headers: &[(&str, &str)]) -> Result<()> {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    RequestOrigin::of(&request.body(()).unwrap().into_parts().0).check(&["ml.example.org".to_owned()])
}

#[test]
fn names_of_this_server_and_bare_addresses_are_allowed() {
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
        assert!(check(Method::GET, &[("host", host)]).is_ok(), "{host}");
    }
}

#[test]
fn other_host_names_are_refused() {
    for host in [
        "evil.example.com",
        "localhost.evil.com",
        "ml.example.org.evil.com:80",
        "127.0.0.1.evil.com",
        "127.0.0.1:8080@evil.com",
        "127.0.0.1:8080, evil.com",
        "localhost:evil.com",
        "[::1]evil.com",
        "[::1",
        "",
    ] {
        assert_eq!(check(Method::GET, &[("host", host)]).unwrap_err().code(), ErrorCode::CrossSite, "{host}");
    }
    assert!(check(Method::GET, &[]).is_err());
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let here = ("host", "localhost:8080");
    assert!(check(Method::POST, &[here, ("origin", "http://localhost:8080")]).is_ok());
    for origin in ["http://localhost:8081", "http://evil.example.com", "null", "https://localhost"] {
        assert_eq!(
            check(Method::POST, &[here, ("origin", origin)]).unwrap_err().code(),
            ErrorCode::CrossSite,
            "{origin}"
        );
        assert!(check(Method::GET, &[here, ("origin", origin)]).is_err(), "{origin}");
    }
}

#[test]
fn a_cross_site_form_is_refused() {
    let cross = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
    assert!(check(Method::GET, &cross).is_ok());
    assert!(check(Method::POST, &cross).is_err());
    assert!(check(Method::POST, &[("host", "localhost"), ("sec-fetch-site", "same-site")]).is_err());
    assert!(check(Method::POST, &[("host", "localhost"), ("sec-fetch-site", "none")]).is_ok());
    assert!(check(Method::POST, &[("host", "localhost"), ("sec-fetch-site", "same-origin")]).is_ok());
}

#[test]
fn the_authority_of_the_request_target_is_checked_too() {
    assert!(check_target("http://localhost:8080/", Method::GET, &[]).is_ok());
    assert!(check_target("http://localhost:8080/", Method::GET, &[("host", "localhost:8080")]).is_ok());
    assert!(check_target("http://evil.example.com/", Method::GET, &[("host", "localhost")]).is_err());
    assert!(check_target("http://localhost/", Method::GET, &[("host", "evil.example.com")]).is_err());
    for (target, host) in [("http://localhost:8080/", "localhost:8081"), ("http://localhost/", "127.0.0.1")] {
        let error = check_target(target, Method::GET, &[("host", host)]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CrossSite, "{target} {host}");
    }
    assert!(check_target("http://LOCALHOST:8080/", Method::GET, &[("host", "localhost:8080")]).is_ok());
    let own = [("origin", "http://localhost:8080")];
    assert!(check_target("http://localhost:8080/", Method::POST, &own).is_ok());
    assert!(check_target("http://localhost:8081/", Method::POST, &own).is_err());
}

#[test]
fn several_host_headers_are_refused() {
    for second in ["localhost", "ml.example.org", "evil.example.com"] {
        let error = check(Method::GET, &[("host", "localhost"), ("host", second)]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CrossSite, "{second}");
    }
}
