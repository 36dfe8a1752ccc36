//! Parsers of foreign bytes, each as one function that fuzz targets and property tests call.

use perennial_core::filter::{RunOrder, parse_run_order};
use perennial_core::id::ExperimentId;
use serde_json::Value;

use crate::dynamic::Dialect;
use crate::metrics::Cursor;
use crate::runs::{RunSearch, select};

/// Orders of searches, whose tokens differ in form.
const ORDERS: [&[&str]; 4] =
    [&[], &["metrics.auc DESC"], &["params.trees", "tags.team DESC"], &["attributes.start_time", "attributes.run_id"]];

/// Page tokens: of a metric's history, and of searches in several orders. An accepted token reads back as it was, and
/// its texts never enter the text of a statement.
///
/// # Panics
/// A parser has a fault.
pub fn page_tokens(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    if let Ok(cursor) = Cursor::parse(token) {
        let text = cursor.text();
        assert_eq!(Cursor::parse(&text).map(|cursor| cursor.text()).ok(), Some(text));
    }
    for keys in ORDERS {
        let order: Vec<RunOrder> = keys.iter().filter_map(|key| parse_run_order(key).ok()).collect();
        assert_eq!(order.len(), keys.len(), "{keys:?} is an order");
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            if let Some(statement) = statement(&order, token.to_owned(), dialect) {
                assert_eq!(Some(statement), self::statement(&order, without_texts(token), dialect));
            }
        }
    }
}

/// The text of the statement that continues a search after `token`, if the token is accepted.
fn statement(order: &[RunOrder], token: String, dialect: Dialect) -> Option<String> {
    let experiment_ids = vec![ExperimentId::DEFAULT];
    let search =
        RunSearch { experiment_ids, order: order.to_vec(), after: Some(token), limit: 10, ..RunSearch::default() };
    select(&search, dialect).ok().map(|statement| statement.text().to_owned())
}

/// `token` with each of its texts empty.
fn without_texts(token: &str) -> String {
    let mut values: Vec<Value> = serde_json::from_str(token).unwrap_or_default();
    for value in &mut values {
        if value.is_string() {
            *value = "".into();
        }
    }
    Value::Array(values).to_string()
}

#[cfg(test)]
mod tests;
