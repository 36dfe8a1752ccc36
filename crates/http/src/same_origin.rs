//! Same-origin checks: the host that a request names, against DNS rebinding, and the site it comes from, against
//! cross-site requests.

use std::borrow::Cow;
use std::net::IpAddr;

use http::request::Parts;
use http::{Method, header};
use perennial_core::{Error, ErrorCode, Result};

#[cfg(test)]
mod tests;

/// The hosts a request names, and the site whose page made it.
#[derive(Debug, Clone)]
pub(crate) struct RequestOrigin<'a> {
    /// The authority of the request target: `:authority` in HTTP/2, an absolute target in HTTP/1.
    authority: Option<&'a str>,
    /// The `Host` header; `Err` when it is not text.
    host: Option<Result<&'a str, ()>>,
    /// Whether the request has several `Host` headers.
    has_several_hosts: bool,
    /// The `Origin` header, invalid UTF-8 replaced.
    origin: Option<Cow<'a, str>>,
    /// Whether the browser reports that a page of another origin made the request.
    is_cross_origin: bool,
    /// Whether the request may change something.
    is_change: bool,
}

impl<'a> RequestOrigin<'a> {
    /// The origin of a request.
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self {
            authority: parts.uri.authority().map(http::uri::Authority::as_str),
            host: parts.headers.get(header::HOST).map(|host| host.to_str().map_err(|_| ())),
            has_several_hosts: parts.headers.get_all(header::HOST).iter().nth(1).is_some(),
            origin: parts.headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes())),
            // `none` is an address that a person entered.
            is_cross_origin: parts
                .headers
                .get("sec-fetch-site")
                .is_some_and(|site| site != "same-origin" && site != "none"),
            is_change: !is_safe(&parts.method),
        }
    }

    /// Refuses a request that names a host other than this server, or that a page of another site made.
    /// `hosts` are further names of this server; `localhost` and bare addresses are always allowed.
    pub(crate) fn check(&self, hosts: &[String]) -> Result<()> {
        let name_the_server = "name the server in the `Host` header";
        let host = self.host.transpose().map_err(|()| refused("the `Host` header is not text", name_the_server))?;
        if self.has_several_hosts {
            return Err(refused("the request has several `Host` headers", name_the_server));
        }
        // A proxy in front may have decided by either of the two.
        if let (Some(authority), Some(host)) = (self.authority, host)
            && !authority.eq_ignore_ascii_case(host)
        {
            return Err(refused("the `Host` header and the request target name different hosts", name_the_server));
        }
        for named in [self.authority, host].into_iter().flatten() {
            if !is_this_server(without_port(named), hosts) {
                return Err(refused(
                    &format!("host `{}` is not allowed", named.escape_debug()),
                    "start the server with `--allow-host NAME` if it is a name of this server",
                ));
            }
        }
        let host =
            self.authority.or(host).ok_or_else(|| refused("the request has no `Host` header", name_the_server))?;
        if let Some(origin) = &self.origin {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
                return Err(refused(
                    &format!("pages of `{}` may not call this server", origin.escape_debug()),
                    "open the console at the server's own address",
                ));
            }
        }
        if self.is_cross_origin && self.is_change {
            return Err(refused(
                "a page of another site may not change anything on this server",
                "open the console at the server's own address",
            ));
        }
        Ok(())
    }
}

/// Whether a method changes nothing on the server.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn refused(message: &str, hint: &str) -> Error {
    Error::new(ErrorCode::CrossSite, message).with_hint(hint)
}

/// The host of an authority; the authority itself when what follows the last colon is not a port.
fn without_port(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Rebinding needs a name under the attacker's control, so bare addresses are allowed.
fn is_this_server(host: &str, hosts: &[String]) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}
