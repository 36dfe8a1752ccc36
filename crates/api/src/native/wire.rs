//! Types that several answers use.

use axum::Json;
use axum::response::{IntoResponse, Response};
use perennial_core::port::data::Page;
use perennial_core::rule::Verdict;
use perennial_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use crate::limits;

/// Pages of rows that are written as JSON at the same time.
const ROWS_WRITERS_MAX: usize = 2;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page, for `after`. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Items<T> {
    /// A list that is whole.
    pub(super) fn all(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().collect(), next: None }
    }
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Maximum number of items, 1 to 1000; default 100.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl PageQuery {
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(limits::PAGE_DEFAULT).clamp(1, limits::PAGE_MAX)
    }
}

/// A message about a completed action.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// The message.
    pub message: String,
}

/// A page of rows.
#[derive(Serialize, ToSchema)]
pub(super) struct Rows {
    /// The columns.
    pub columns: Vec<ColumnName>,
    /// The rows, values in column order.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether more rows exist.
    pub truncated: bool,
}

/// A column of a page of rows.
#[derive(Serialize, ToSchema)]
pub(super) struct ColumnName {
    /// Its name.
    pub name: String,
    /// The class of its values: `int`, `float`, `text`, ….
    pub class: String,
}

impl From<Page> for Rows {
    fn from(page: Page) -> Self {
        let columns =
            page.schema.fields.into_iter().map(|field| ColumnName { name: field.name, class: field.class.to_string() });
        Self { columns: columns.collect(), rows: page.rows, truncated: page.truncated }
    }
}

/// The answer with a page of rows. It is written on a blocking thread, two at the same time: a page may have many megabytes,
/// and the threads of requests answer others meanwhile.
pub(super) async fn rows_answer(page: Page) -> Result<Response> {
    static WRITERS: Semaphore = Semaphore::const_new(ROWS_WRITERS_MAX);
    const ENDED: &str = "an answer ended abruptly";

    let permit = WRITERS.acquire().await.map_err(|closed| Error::internal(ENDED, closed))?;
    let written = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        Json(Rows::from(page)).into_response()
    });
    written.await.map_err(|panic| Error::internal(ENDED, panic))
}

/// An instant as RFC 3339 in UTC; an instant outside the calendar as its epoch milliseconds.
pub(super) fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

/// `pass`, `fail` or `unknown`.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    verdict.as_str()
}
