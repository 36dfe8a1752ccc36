//! Whether a request was meant for this server: the headers that `perennial_core::site` judges.

use http::request::Parts;
use http::{Method, header};
use perennial_core::Result;
use perennial_core::site::{self, Asked};

/// Refuses a request that names another host, or that a page of another site made.
pub(crate) fn judge(parts: &Parts, hosts: &[String]) -> Result<()> {
    let origin = parts.headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    let asked = Asked {
        host: parts.headers.get(header::HOST).map(|host| host.to_str().map_err(|_| ())),
        origin: origin.as_deref(),
        is_cross_site: parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site"),
        changes: !is_safe(&parts.method),
    };
    site::judge(asked, hosts)
}

/// Whether a method changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
