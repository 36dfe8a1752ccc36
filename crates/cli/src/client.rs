//! A client of the HTTP API.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use perennial_core::ErrorCode;
use perennial_server::SocketPath;
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::output::user_error;

/// The time limit of a request, longer than that of a long poll.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The time limit of an upload.
const FILE_TIMEOUT: Duration = Duration::from_hours(24);

/// A response with an error status, as the server sent it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ErrorResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// The error code, empty if the response has none.
    pub code: String,
    /// The message, one line.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// For a project file: every mistake in it.
    pub diagnostics: Option<Value>,
}

fn is_loopback(base: &str) -> bool {
    let host = reqwest::Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The token of a server that is reached over the network.
    token: Option<String>,
    /// Keeps the path of the Unix socket valid.
    _socket: Option<Arc<SocketPath>>,
}

impl Client {
    /// A client of the server over a data folder of this machine, at its Unix socket. `address` is where others reach it.
    pub(crate) fn local(data: &Path, address: &str) -> Result<Self> {
        let socket = Arc::new(SocketPath::new(data)?);
        let builder = reqwest::Client::builder().unix_socket(socket.as_path());
        Ok(Self { _socket: Some(socket), ..Self::build(builder, address, None)? })
    }

    /// A client of a team's server. It uses the proxies of the environment, except for a loopback address, so that no proxy
    /// receives the token.
    pub(crate) fn remote(base: &str, token: &str) -> Result<Self> {
        if !base.starts_with("http://") && !base.starts_with("https://") {
            let message = format!("PERENNIAL_SERVER is `{base}`, expected a URL");
            return Err(user_error(ErrorCode::InvalidArgument, message, &format!("for example `http://{base}`")));
        }
        let builder = reqwest::Client::builder();
        let builder = if is_loopback(base) { builder.no_proxy() } else { builder };
        Self::build(builder, base, Some(token.to_owned()))
    }

    fn build(builder: reqwest::ClientBuilder, base: &str, token: Option<String>) -> Result<Self> {
        let http = builder.timeout(TIMEOUT).build().context("cannot create an HTTP client")?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token, _socket: None })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Uploads a file.
    pub(crate) async fn put(&self, path: &str, body: Body) -> Result<()> {
        self.send(self.request(Method::PUT, path).timeout(FILE_TIMEOUT).body(body)).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.send().await.with_context(|| format!("cannot reach the server at {}", self.base))?;
        let status = answer.status();
        let text = answer.text().await.context("the response ended early")?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_success() {
            return Ok(value);
        }
        let error = value.get("error").unwrap_or(&value);
        let word = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = word("message")
            .or_else(|| error.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("the server answered {status}"));
        Err(ErrorResponse {
            status,
            code: word("code").unwrap_or_default(),
            message,
            hint: word("hint"),
            diagnostics: error.get("diagnostics").or_else(|| value.get("diagnostics")).cloned(),
        }
        .into())
    }
}
