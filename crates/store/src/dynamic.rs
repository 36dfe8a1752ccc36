//! SQL put together at run time, from our own texts and bound values alone.

use perennial_core::filter::TextTest;

use crate::query::Query;
use crate::value::{Bind, Value};

/// Lists up to this length are bound value by value, longer ones as one JSON text,
/// for both databases limit the placeholders of a statement.
const BOUND_ONE_BY_ONE: usize = 100;

/// Which database a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The text of a bulk insert of `rows` rows.
    pub(crate) fn repeat_row(self, query: &Query, rows: usize) -> String {
        match self {
            Self::Sqlite => repeat_row(query.sqlite, rows),
            Self::Postgres => repeat_row(query.postgres, rows),
        }
    }
}

/// A statement under construction. What people typed enters by `bind` alone.
pub(crate) struct Sql {
    dialect: Dialect,
    text: String,
    values: Vec<Value<'static>>,
}

impl Sql {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::with_capacity(1024), values: Vec::new() }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds text of our own.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a placeholder with its value.
    pub(crate) fn bind(&mut self, value: impl Bind) {
        self.bind_value(value.value().into_owned());
    }

    /// Adds a placeholder with its value.
    pub(crate) fn bind_value(&mut self, value: Value<'static>) {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
    }

    /// Adds a test of a text column.
    pub(crate) fn text_test(&mut self, column: &str, test: &TextTest) {
        self.push(column);
        match (test, self.dialect) {
            (TextTest::Equal(text), _) => self.with(" = ", text),
            (TextTest::NotEqual(text), _) => self.with(" <> ", text),
            (TextTest::Like(pattern), Dialect::Sqlite) => self.with(" GLOB ", &glob(pattern)),
            (TextTest::Like(pattern), Dialect::Postgres) => {
                self.with(" LIKE ", pattern);
                self.push(" ESCAPE ''");
            }
            (TextTest::LikeAnyCase(pattern), dialect) => {
                self.text.truncate(self.text.len() - column.len());
                self.push(&format!("lower({column})"));
                self.with(" LIKE ", &pattern.to_ascii_lowercase());
                if dialect == Dialect::Postgres {
                    self.push(" ESCAPE ''");
                }
            }
            (TextTest::In(texts), _) => self.list(" IN (", texts),
            (TextTest::NotIn(texts), _) => self.list(" NOT IN (", texts),
            (TextTest::Missing, _) => self.push(" IS NULL"),
            (TextTest::Present, _) => self.push(" IS NOT NULL"),
        }
    }

    fn with(&mut self, operator: &str, text: &str) {
        self.push(operator);
        self.bind(text.to_owned());
    }

    fn list(&mut self, operator: &str, texts: &[String]) {
        self.push(operator);
        if texts.len() > BOUND_ONE_BY_ONE {
            self.push(match self.dialect {
                Dialect::Sqlite => "SELECT value FROM json_each(",
                Dialect::Postgres => "SELECT value COLLATE \"C\" FROM jsonb_array_elements_text(CAST(",
            });
            self.bind(serde_json::json!(texts));
            self.push(match self.dialect {
                Dialect::Sqlite => "))",
                Dialect::Postgres => " AS jsonb)) AS given (value))",
            });
            return;
        }
        for (index, text) in texts.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " });
            self.bind(text.clone());
        }
        self.push(if texts.is_empty() { "NULL)" } else { ")" });
    }

    /// Adds ` IN (…)` over numbers.
    pub(crate) fn number_list(&mut self, numbers: &[i64]) {
        self.push(" IN (");
        if numbers.len() > BOUND_ONE_BY_ONE {
            self.push(match self.dialect {
                Dialect::Sqlite => "SELECT value FROM json_each(",
                Dialect::Postgres => "SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST(",
            });
            self.bind(serde_json::json!(numbers));
            self.push(match self.dialect {
                Dialect::Sqlite => "))",
                Dialect::Postgres => " AS jsonb)) AS given (value))",
            });
            return;
        }
        for (index, number) in numbers.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " });
            self.bind(*number);
        }
        self.push(if numbers.is_empty() { "NULL)" } else { ")" });
    }

    pub(crate) fn into_parts(self) -> (String, Vec<Value<'static>>) {
        (self.text, self.values)
    }
}

/// A LIKE pattern as GLOB, which minds upper and lower case on SQLite.
fn glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        match character {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '*' | '?' | '[' => {
                glob.push('[');
                glob.push(character);
                glob.push(']');
            }
            other => glob.push(other),
        }
    }
    glob
}

/// Repeats the row of an `INSERT … VALUES ($1, …)` statement, with placeholders counted on.
fn repeat_row(insert: &str, rows: usize) -> String {
    let start = insert.find("VALUES (").map_or(insert.len(), |at| at + "VALUES ".len());
    let end = insert[start..].find(')').map_or(insert.len(), |at| start + at + 1);
    let width = insert[start..end].matches('$').count();
    let mut text = insert[..start].to_owned();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            text.push_str(if column == 0 { "$" } else { ", $" });
            text.push_str(&(row * width + column + 1).to_string());
        }
        text.push(')');
    }
    text.push_str(&insert[end..]);
    text
}

/// How many placeholders the row of an `INSERT … VALUES ($1, …)` statement has.
pub(crate) fn row_width(insert: &str) -> usize {
    let start = insert.find("VALUES (").unwrap_or(insert.len());
    let end = insert[start..].find(')').map_or(insert.len(), |at| start + at);
    insert[start..end].matches('$').count()
}
