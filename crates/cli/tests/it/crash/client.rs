//! A client of a server that may be killed before it answers.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The server ended before the complete response arrived: the effect of the request is unknown.
#[derive(Debug)]
pub(super) struct ServerGone;

/// Part of the error of a request or a run whose worker was killed.
pub(super) const KILLED_WORKER: &str = "worker died by signal 9";

/// A client of one server.
#[derive(Clone)]
pub(super) struct ServerClient {
    pub(super) http: reqwest::Client,
    pub(super) address: String,
    pub(super) token: String,
}

impl ServerClient {
    /// Sends a request; gives the status and the body once the response is complete.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), ServerGone> {
        let mut request = self.http.request(method, format!("{}{path}", self.address)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|_| ServerGone)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| ServerGone)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Sends a GET request that must succeed.
    pub(super) async fn get(&self, path: &str) -> Result<Value, ServerGone> {
        let (status, answer) = self.ask(Method::GET, path, None).await?;
        assert!(status.is_success(), "GET {path}: {status} {answer}");
        Ok(answer)
    }

    /// Sends a POST request that must succeed.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, ServerGone> {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await?;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        Ok(answer)
    }

    /// Sends a request that must succeed, unless its worker was killed: then `None`, and it may be sent again.
    pub(super) async fn ask_worker(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ServerGone> {
        let (status, answer) = self.ask(method, path, body).await?;
        if status == StatusCode::SERVICE_UNAVAILABLE && answer.to_string().contains(KILLED_WORKER) {
            return Ok(None);
        }
        assert!(status.is_success(), "{path}: {status} {answer}");
        Ok(Some(answer))
    }

    /// Every item of a list, page by page.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, ServerGone> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=1000{after}")).await?;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(items),
            }
        }
    }

    /// The rows of one SELECT, which must fit into one response.
    pub(super) async fn query(&self, sql: &str) -> Result<Vec<Vec<Value>>, ServerGone> {
        self.query_in(super::project::BASE, sql).await
    }

    /// As [`query`](Self::query), in the project at the path `base`.
    pub(super) async fn query_in(&self, base: &str, sql: &str) -> Result<Vec<Vec<Value>>, ServerGone> {
        let body = serde_json::json!({ "sql": sql, "limit": 10_000 });
        let page = self.post(&format!("{base}/query"), &body).await?;
        assert_eq!(page["truncated"], false, "{sql}");
        Ok(page["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect())
    }
}
