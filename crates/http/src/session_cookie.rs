//! The cookie that holds a browser session's secret.

use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use http::HeaderMap;

/// The name of the cookie.
pub const SESSION_COOKIE: &str = "perennial_session";

/// The session secret that a request carries.
pub fn session_secret(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(SESSION_COOKIE).map(|cookie| cookie.value().to_owned())
}

/// The `Set-Cookie` part of a response that begins a session. `is_https` keeps the cookie on encrypted connections.
pub fn begin_session(secret: String, is_https: bool) -> CookieJar {
    CookieJar::new().add(cookie(secret, is_https))
}

/// The `Set-Cookie` part of a response that ends a session.
pub fn end_session(is_https: bool) -> CookieJar {
    let mut ended = cookie(String::new(), is_https);
    ended.make_removal();
    CookieJar::new().add(ended)
}

fn cookie(secret: String, is_https: bool) -> Cookie<'static> {
    Cookie::build((SESSION_COOKIE, secret)).path("/").http_only(true).same_site(SameSite::Lax).secure(is_https).build()
}
