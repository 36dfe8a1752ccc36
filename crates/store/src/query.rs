//! SQL texts, one for both databases or one for each.

/// A query in the dialects of both databases.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
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

/// Values for the placeholders of a query, in their order.
macro_rules! bind {
    ($($value:expr),* $(,)?) => { &[$($crate::value::Bind::value(&$value)),*] };
}
