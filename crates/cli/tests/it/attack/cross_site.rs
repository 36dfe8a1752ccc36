//! Requests that a page of another site, or a name that was rebound to this address, makes a browser send.

use reqwest::Method;
use serde_json::json;

use super::attempt::{Kind, Outcome, kind};
use super::exchange::{Answer, exchange};
use super::project::{ALPHA, BRAVO_SECRET};
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("other hosts", hosts),
    kind!("posts of other sites with the session", posts),
    kind!("answers to other origins", origins),
    kind!("two requests in one", smuggled),
];

/// The head of a request with the session of the administrator, and with further fields.
fn head(target: &Target, method: &str, path: &str, host: &str, fields: &str) -> String {
    let cookie = target.administrator.cookie.as_deref().unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nCookie: {cookie}\r\n{fields}\r\n")
}

/// The token of the administrator's forms.
async fn form_token(target: &Target) -> String {
    let page = target.page(&target.administrator, &format!("/p/{ALPHA}/alerts")).await;
    let token = page.body.split("name=\"csrf_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    token.unwrap_or_default().to_owned()
}

async fn hosts(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let own = &target.host;
    let port = own.rsplit_once(':').unwrap().1;
    let mut hosts = vec![
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        format!("Host: localhost.evil.example:{port}\r\n"),
        format!("Host: {own}@evil.example\r\n"),
        format!("Host: {own}, evil.example\r\n"),
        format!("Host: {own}\r\nHost: evil.example\r\n"),
        format!("Host: evil.example\r\nHost: {own}\r\n"),
        format!("Host: {own}\r\nHost: {own}\r\n"),
        "Host:\r\n".to_owned(),
        String::new(),
        format!("Host: {}\r\n", "a".repeat(5_000)),
    ];
    hosts.push(format!("Host: host-{}.example\r\n", chance.below(1_000_000)));
    for host in hosts {
        for (method, path) in
            [("GET", format!("/p/{ALPHA}")), ("GET", "/api/v1/projects".into()), ("GET", "/health".into())]
        {
            let answer = exchange(&target.host, head(target, method, &path, &host, "").as_bytes()).await;
            let is_refused = answer.status == 0 || (400..500).contains(&answer.status);
            outcome
                .expect(is_refused, || format!("{path} with `{}` is answered {}", host.escape_debug(), answer.status));
        }
        // Other ways to name a host, which this server does not follow.
        let forwarded =
            format!("X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nX-Original-URL: /p/{ALPHA}\r\n");
        let answer =
            exchange(&target.host, head(target, "GET", "/login", &format!("Host: {own}\r\n"), &forwarded).as_bytes())
                .await;
        let names = answer.body.contains("evil.example") || answer.head.contains("evil.example");
        outcome.expect(!names, || "an answer follows `X-Forwarded-Host`".to_owned());
    }
    // A target in absolute form names another host than the field.
    let absolute = head(target, "GET", &format!("http://evil.example/p/{ALPHA}"), &format!("Host: {own}\r\n"), "");
    let answer = exchange(&target.host, absolute.as_bytes()).await;
    outcome.expect(answer.status != 200, || "a target of another host is answered 200".to_owned());
    outcome
}

/// The alert of the posts does not exist, so that a request that passes the perimeter is answered 404.
async fn posts(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let token = form_token(target).await;
    let host = format!("Host: {}\r\n", target.host);
    let page = format!("/p/{ALPHA}/alerts/{}/acknowledge", "0".repeat(32));
    let api = format!("/api/v1/projects/{ALPHA}/alerts/{}/acknowledge", "0".repeat(32));
    let post = async |path: &str, fields: &str, body: &str| -> Answer {
        let fields = format!("{fields}Content-Length: {}\r\n", body.len());
        exchange(&target.host, (head(target, "POST", path, &host, &fields) + body).as_bytes()).await
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let foreign = [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://127.0.0.1:1\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\nReferer: http://127.0.0.1/\r\n",
    ];
    for fields in foreign {
        for path in [&page, &api] {
            for body in [format!("csrf_token={token}"), String::new(), "{}".to_owned()] {
                let answer = post(path, &format!("{form}{fields}"), &body).await;
                outcome.expect(answer.status == 403, || {
                    format!("POST {path} with `{}` is answered {}", fields.trim(), answer.status)
                });
            }
        }
    }
    // Without the token of the session's forms, whatever the type of the body says.
    for kind in
        ["application/x-www-form-urlencoded", "text/plain", "application/json", "multipart/form-data; boundary=a"]
    {
        for path in [&page, &api] {
            for body in ["", "csrf_token=", "csrf_token=wrong", "{\"csrf_token\":\"wrong\"}"] {
                let answer = post(path, &format!("Content-Type: {kind}\r\n"), body).await;
                let is_refused = (400..500).contains(&answer.status) && answer.status != 404;
                outcome.expect(is_refused, || {
                    format!("POST {path} of {kind} with `{body}` is answered {}", answer.status)
                });
            }
        }
    }
    // Methods that a form cannot send are not read from fields.
    for fields in ["X-HTTP-Method-Override: DELETE\r\n", "X-HTTP-Method: PUT\r\n"] {
        let path = format!("/api/v1/tokens/{}", "0".repeat(32));
        let answer = post(&path, &format!("{form}{fields}"), "_method=DELETE").await;
        outcome.expect((400..500).contains(&answer.status), || format!("{fields} is answered {}", answer.status));
    }
    // The same post with the token passes, so that the refusals above are those of the perimeter.
    let answer = post(&page, form, &format!("csrf_token={token}")).await;
    outcome.expect(answer.status == 404, || format!("the own form is answered {}", answer.status));
    outcome
}

/// No answer permits another origin to read it, or to frame it.
async fn origins(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let origin = format!("http://evil-{}.example", chance.below(1_000_000));
    let host = format!("Host: {}\r\n", target.host);
    for (method, path) in [
        ("GET", "/health".to_owned()),
        ("GET", "/api/v1/openapi.json".to_owned()),
        ("GET", format!("/p/{ALPHA}")),
        ("OPTIONS", "/api/v1/tokens".to_owned()),
        ("OPTIONS", format!("/api/v1/projects/{ALPHA}")),
        ("OPTIONS", "/api/2.0/mlflow/runs/create".to_owned()),
        ("TRACE", format!("/p/{ALPHA}")),
    ] {
        let fields = format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\
             Access-Control-Request-Private-Network: true\r\n"
        );
        let answer = exchange(&target.host, head(target, method, &path, &host, &fields).as_bytes()).await;
        let permits = answer.head.to_lowercase().contains("access-control-allow");
        outcome.expect(!permits, || format!("{method} {path} permits {origin}: {}", answer.head));
        outcome.expect(!answer.body.contains("Cookie:"), || format!("{method} {path} repeats the request"));
    }
    let page = target.page(&target.administrator, "/").await;
    for (field, part) in [("content-security-policy", "frame-ancestors 'none'"), ("x-frame-options", "DENY")] {
        let value = page.header(field).unwrap_or_default();
        outcome.expect(value.contains(part), || format!("`{field}` of a page is `{value}`"));
    }
    outcome
}

/// A body that hides a second request is not answered as one.
async fn smuggled(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let bravo = format!("GET /p/bravo HTTP/1.1\r\nHost: {}\r\n\r\n", target.host);
    let length = bravo.len() + 5;
    let own = format!("POST /login HTTP/1.1\r\nHost: {}\r\n", target.host);
    let chunked = format!("0\r\n\r\n{bravo}");
    for request in [
        format!("{own}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("{own}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        format!("{own}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{bravo}"),
        format!("{own}Content-Length: +{length}\r\n\r\n{bravo}"),
        format!("{own}Content-Length: 0x10\r\n\r\n{bravo}"),
        format!("{own}Transfer-Encoding: xchunked\r\n\r\n{chunked}"),
        format!("{own}Transfer-Encoding : chunked\r\n\r\n{chunked}"),
        format!("{own}Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"),
        format!("{own}X: a\r\n folded\r\n\r\n{bravo}"),
        format!("{own}X: a\nContent-Length: 0\r\n\r\n"),
        format!("GET /login HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", target.host, "a".repeat(400_000)),
        format!("GET /login HTTP/1.1\r\nHost: {}\r\n{}\r\n", target.host, "X: a\r\n".repeat(20_000)),
        format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(200_000), target.host),
        format!("GET /p/{ALPHA}\0 HTTP/1.1\r\nHost: {}\r\n\r\n", target.host),
        "GET / HTTP/0.9\r\n\r\n".to_owned(),
        "\0\u{1}\u{2}\u{3}".repeat(1_000),
    ] {
        let closing = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let answer = exchange(&target.host, closing.as_bytes()).await;
        let start = shortened(&request).escape_debug().to_string();
        outcome.add(target.hole(&target.anonymous, &start, answer.status, &answer.body));
        outcome.expect(answer.count() == 1, || format!("`{start}` is answered {} times", answer.count()));
        outcome.expect(!answer.body.contains(BRAVO_SECRET), || format!("`{start}` reveals bravo"));
    }
    // The connection of a caller gives the next request no permission.
    let (status, _) = target.ask(&target.anonymous, Method::GET, "/api/v1/projects", Some(&json!({}))).await;
    outcome.expect(status == 401, || format!("a request without a token is answered {status}"));
    outcome
}
