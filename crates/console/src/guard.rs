//! Whether a request was meant for this server: its host (rebinding) and its origin (cross-site).

use std::net::IpAddr;

use http::request::Parts;
use http::{Method, header};
use perennial_core::{Error, ErrorCode, Result};

/// Refuses a request that names another host, and one that a page of another site made.
pub(crate) fn judge(parts: &Parts, hosts: &[String]) -> Result<()> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| refused("a request without a readable `Host` is not answered"))?;
    if !is_ours(name_of(host), hosts) {
        return Err(refused(format!("`{}` is no name of this server", host.escape_debug())));
    }
    if let Some(origin) = parts.headers.get(header::ORIGIN) {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(refused("a page of another site may not ask this server"));
        }
    }
    let is_cross = parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if is_cross && !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(refused("a page of another site may not change anything here"));
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::CrossSite, message).hint("open the console at the server's own address")
}

/// The host without its port.
fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Rebinding needs a name of the attacker's own, so bare addresses pass.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}
