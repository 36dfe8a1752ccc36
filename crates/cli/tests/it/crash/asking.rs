//! Asking a server that may be killed before it answers.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The server went away before its whole answer came: whether it did what was asked is not known.
#[derive(Debug)]
pub(super) struct Cut;

/// A client.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) http: reqwest::Client,
    pub(super) address: String,
    pub(super) token: String,
}

impl Asking {
    /// Asks; gives the status and the answer, once all of it is there.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Cut> {
        let mut request = self.http.request(method, format!("{}{path}", self.address)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|_| Cut)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| Cut)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// GETs what has to be there.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Cut> {
        let (status, answer) = self.ask(Method::GET, path, None).await?;
        assert!(status.is_success(), "GET {path}: {status} {answer}");
        Ok(answer)
    }

    /// POSTs what has to be taken.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Cut> {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await?;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        Ok(answer)
    }

    /// Every item of a list, page by page.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, Cut> {
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

    /// The rows of one SELECT; all of them have to fit an answer.
    pub(super) async fn query(&self, sql: &str) -> Result<Vec<Vec<Value>>, Cut> {
        let asked = serde_json::json!({ "sql": sql, "limit": 10_000 });
        let page = self.post(&format!("{}/query", super::files::BASE), &asked).await?;
        assert_eq!(page["truncated"], false, "{sql}");
        Ok(page["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect())
    }
}
