//! Whether a request was meant for this server: its host (rebinding) and its origin (cross-site).

use std::net::IpAddr;

use http::request::Parts;
use http::{Method, header};
use perennial_core::{Error, ErrorCode, Result};

#[cfg(test)]
mod tests;

/// Refuses a request that names another host, or that a page of another site made.
pub(crate) fn judge(parts: &Parts, hosts: &[String]) -> Result<()> {
    let Some(host) = parts.headers.get(header::HOST) else {
        return Err(refused("a request without `Host` is not answered", "name the server in the `Host` header"));
    };
    let host =
        host.to_str().map_err(|_| refused("the `Host` header is no text", "name the server in the `Host` header"))?;
    if !is_ours(host_of(host), hosts) {
        return Err(refused(
            &format!("`{}` is no name of this server", host.escape_debug()),
            "start the server with `--allow-host NAME` when it is one",
        ));
    }
    if let Some(origin) = parts.headers.get(header::ORIGIN) {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            let from = String::from_utf8_lossy(origin.as_bytes()).escape_debug().to_string();
            return Err(refused(
                &format!("a page of `{from}` may not ask this server"),
                "open the console at the server's own address",
            ));
        }
    }
    let is_cross = parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if is_cross && !is_safe(&parts.method) {
        return Err(refused(
            "a page of another site may not change anything here",
            "open the console at the server's own address",
        ));
    }
    Ok(())
}

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn refused(message: &str, hint: &str) -> Error {
    Error::new(ErrorCode::CrossSite, message).hint(hint)
}

/// The host without its port.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(authority, |(host, _)| host);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Rebinding needs a name of the attacker's own, so bare addresses pass.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}
