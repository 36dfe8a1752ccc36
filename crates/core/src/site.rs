//! Whether a request was meant for this server: its host (rebinding) and its origin (cross-site),
//! and what browsers keep between requests. Plain strings, so that every door asks the same.

use std::net::IpAddr;

use crate::error::{Error, ErrorCode, Result};

#[cfg(test)]
mod tests;

/// The cookie that holds a browser session's secret.
pub const SESSION_COOKIE: &str = "perennial_session";

/// What a request says of where it goes and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The `Host` header; `None` when there is none, `Err` when it is no text.
    pub host: Option<Result<&'a str, ()>>,
    /// The `Origin` header, read as well as it can be.
    pub origin: Option<&'a str>,
    /// Whether the browser says that a page of another site asks.
    pub is_cross_site: bool,
    /// Whether it may change something.
    pub changes: bool,
}

/// Refuses a request that names another host, or that a page of another site made.
/// `hosts` are further names of this server.
pub fn judge(asked: Asked<'_>, hosts: &[String]) -> Result<()> {
    let name_the_server = "name the server in the `Host` header";
    let host = asked.host.ok_or_else(|| refused("a request without `Host` is not answered", name_the_server))?;
    let host = host.map_err(|()| refused("the `Host` header is no text", name_the_server))?;
    if !is_ours(host_of(host), hosts) {
        return Err(refused(
            &format!("`{}` is no name of this server", host.escape_debug()),
            "start the server with `--allow-host NAME` when it is one",
        ));
    }
    if let Some(origin) = asked.origin {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(refused(
                &format!("a page of `{}` may not ask this server", origin.escape_debug()),
                "open the console at the server's own address",
            ));
        }
    }
    if asked.is_cross_site && asked.changes {
        return Err(refused(
            "a page of another site may not change anything here",
            "open the console at the server's own address",
        ));
    }
    Ok(())
}

/// A cookie's value among the texts of a request's `Cookie` headers.
pub fn cookie<'a>(headers: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let pairs = headers.into_iter().flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn refused(message: &str, hint: &str) -> Error {
    Error::new(ErrorCode::CrossSite, message).with_hint(hint)
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
