//! The fields of a request as MLflow's clients write them: in a query or a JSON body, in
//! snake_case or camelCase, whole numbers also as text, a body also encoded twice.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{Method, header};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::{Error, ErrorCode, Result};
use perennial_http::{HttpError, body};
use perennial_tracking::experiments::Tag;
use serde_json::{Map, Value};

use crate::state::ApiState;

/// Bytes of a JSON body: a batch at its limits with every character escaped.
const BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// The fields of a request, or of an object in it.
#[derive(Debug)]
pub(super) struct Fields {
    values: Map<String, Value>,
    /// The prefix of a field's name in messages: `metrics[0].`.
    path: String,
}

impl FromRequest<ApiState> for Fields {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET || parts.method == Method::HEAD {
            return Ok(Self::of_query(&parts.uri)?);
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let message =
                format!("Bad Request. Content-Type must be application/json, this one is `{}`", kind.escape_debug());
            return Err(refused(message).into());
        }
        let bytes = body::read(&parts.headers, body, BODY_BYTES_MAX).await?;
        Ok(Self::of_body(&bytes)?)
    }
}

impl Fields {
    fn of_query(uri: &http::Uri) -> Result<Self> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|cause| refused(format!("cannot parse the query: {cause}")))?;
        let mut values = Map::new();
        for (key, value) in pairs.0 {
            match values.get_mut(&key) {
                None => drop(values.insert(key, value.into())),
                Some(Value::Array(list)) => list.push(value.into()),
                Some(one) => *one = Value::Array(vec![one.take(), value.into()]),
            }
        }
        Self::new(values, String::new())
    }

    pub(super) fn of_body(bytes: &Bytes) -> Result<Self> {
        let unread = |cause: serde_json::Error| refused(format!("cannot parse the body: {cause}"));
        let value =
            if bytes.is_empty() { Value::Object(Map::new()) } else { serde_json::from_slice(bytes).map_err(unread)? };
        // Old clients send a JSON text that holds the JSON.
        let value = match value {
            Value::String(text) => serde_json::from_str(&text).map_err(unread)?,
            other => other,
        };
        match value {
            Value::Object(values) => Self::new(values, String::new()),
            _ => Err(refused("the body is not a JSON object")),
        }
    }

    fn new(given: Map<String, Value>, path: String) -> Result<Self> {
        let mut values = Map::with_capacity(given.len());
        for (key, value) in given {
            let name = snake(&key);
            if values.contains_key(&name) {
                return Err(refused(format!("field `{path}{name}` is given twice, in two spellings")));
            }
            // What is null is not set.
            if !value.is_null() {
                values.insert(name, value);
            }
        }
        Ok(Self { values, path })
    }

    /// A value that is not what it should be.
    pub(super) fn invalid(&self, name: &str, value: &Value) -> Error {
        let mut text = value.to_string();
        if let Some((end, _)) = text.char_indices().nth(200) {
            text.truncate(end);
        }
        refused(format!("Invalid value {text} for parameter '{}{name}' supplied", self.path))
    }

    fn missing(&self, name: &str) -> Error {
        refused(format!("Missing value for required parameter '{}{name}'.", self.path))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.invalid(name, other)),
        }
    }

    /// A text that has to be there and not be empty.
    pub(super) fn required(&self, name: &str) -> Result<String> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A whole number, also as text.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.invalid(name, value))
    }

    /// A whole number that has to be there.
    pub(super) fn required_integer(&self, name: &str) -> Result<i64> {
        self.integer(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number that has to be there, also as text, NaN and the infinities by their names.
    pub(super) fn required_number(&self, name: &str) -> Result<f64> {
        let value = self.values.get(name).ok_or_else(|| self.missing(name))?;
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => text.parse().ok(),
            },
            _ => None,
        };
        number.ok_or_else(|| self.invalid(name, value))
    }

    /// A list of texts; one alone counts as a list of one.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        match self.values.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(value @ Value::Array(list)) => {
                let texts =
                    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(|| self.invalid(name, value)));
                texts.collect()
            }
            Some(other) => Err(self.invalid(name, other)),
        }
    }

    /// An object in this one.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Self::new(values.clone(), format!("{}{name}.", self.path))?)),
            Some(other) => Err(self.invalid(name, other)),
        }
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>> {
        let list = match self.values.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.invalid(name, other)),
        };
        let read = |(place, one): (usize, &Value)| match one {
            Value::Object(values) => Self::new(values.clone(), format!("{}{name}[{place}].", self.path)),
            other => Err(self.invalid(&format!("{name}[{place}]"), other)),
        };
        list.iter().enumerate().map(read).collect()
    }

    /// Tags, each with a key; a value that is missing is empty.
    pub(super) fn tags(&self) -> Result<Vec<Tag>> {
        self.objects("tags")?.iter().map(Self::tag).collect()
    }

    /// A key with its value.
    pub(super) fn tag(&self) -> Result<Tag> {
        Ok(Tag { key: self.required("key")?, value: self.text("value")?.unwrap_or_default() })
    }

    /// The run, under its new name or its old one.
    pub(super) fn run_id(&self) -> Result<RunId> {
        let text = match self.text("run_id")?.filter(|text| !text.is_empty()) {
            Some(text) => text,
            None => self.text("run_uuid")?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing("run_id"))?,
        };
        // A text that is not a run id names an unknown run.
        text.parse().map_err(|_| Error::not_found("run", text.escape_debug()))
    }

    /// The experiment.
    pub(super) fn experiment_id(&self) -> Result<ExperimentId> {
        self.required("experiment_id")?.parse()
    }

    /// Items of a page at most: `most` or fewer, `usual` when it is not said.
    pub(super) fn limit(&self, usual: Option<u32>, most: u32) -> Result<u32> {
        let Some(wanted) = self.integer("max_results")? else {
            return usual.ok_or_else(|| self.missing("max_results"));
        };
        match u32::try_from(wanted) {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(self.invalid("max_results", &wanted.into())),
        }
    }

    /// Where the page before ended.
    pub(super) fn page_token(&self) -> Result<Option<String>> {
        Ok(self.text("page_token")?.filter(|token| !token.is_empty()))
    }

    /// A value as it was sent.
    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

/// An argument that is not allowed.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// `runId` as `run_id`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
