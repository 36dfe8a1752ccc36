//! SQL texts, one for both databases or one for each.

/// A query in the dialects of both databases.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A query whose answer is a list. Every list is bounded: the text has a `LIMIT`, or a comment `-- Bound: ` that says why
/// its rows stay few. A text with neither does not compile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListQuery(pub(crate) &'static Query);

impl ListQuery {
    pub(crate) const fn new(query: &'static Query) -> Self {
        assert!(
            is_bounded(query.sqlite) && is_bounded(query.postgres),
            "the query of a list needs a `LIMIT`, or a comment `-- Bound: ` with the reason why its rows stay few"
        );
        Self(query)
    }
}

const fn is_bounded(sql: &str) -> bool {
    contains(sql.as_bytes(), b"\nLIMIT ") || contains(sql.as_bytes(), b"-- Bound: ")
}

const fn contains(text: &[u8], word: &[u8]) -> bool {
    let mut start = 0;
    while start + word.len() <= text.len() {
        let mut matched = 0;
        while matched < word.len() && text[start + matched] == word[matched] {
            matched += 1;
        }
        if matched == word.len() {
            return true;
        }
        start += 1;
    }
    false
}

/// The query of `queries/<path>.sql`, the same on both databases.
macro_rules! sql {
    ($path:literal) => {
        &$crate::query::Query {
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $path, ".sql")),
            postgres: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $path, ".sql")),
        }
    };
}

/// The query of `queries/<path>.sqlite.sql` and `queries/<path>.postgres.sql`.
macro_rules! sql_split {
    ($path:literal) => {
        &$crate::query::Query {
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $path, ".sqlite.sql")),
            postgres: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $path, ".postgres.sql")),
        }
    };
}

/// [`sql!`] for a list.
macro_rules! list_sql {
    ($path:literal) => {
        const { $crate::query::ListQuery::new(sql!($path)) }
    };
}

/// [`sql_split!`] for a list.
macro_rules! list_sql_split {
    ($path:literal) => {
        const { $crate::query::ListQuery::new(sql_split!($path)) }
    };
}

/// Values for the placeholders of a query, in their order.
macro_rules! bind {
    ($($value:expr),* $(,)?) => { &[$($crate::value::Bind::value(&$value)),*] };
}
