//! Parses a SELECT and finds the tables it reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement as OwnStatement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement, TableFactor, Visit, Visitor};
use perennial_core::text::one_line;

use super::depth::validate_depth;
use super::functions::{Place, validate_functions};
use super::literals::validate_literals;
use super::lower_first;
use crate::error::{Error, Result};

/// The longest query, in bytes.
const SQL_BYTES_MAX: usize = 1 << 20;
/// The most table references in one query, repeated ones included: the plan nests as deep.
const TABLES_MAX: usize = 256;

/// A parsed SELECT.
pub(crate) struct Select {
    statement: OwnStatement,
    tables: Vec<String>,
}

impl Select {
    /// Parses `text`, which must be one SELECT.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.len() > SQL_BYTES_MAX {
            return Err(Error::Limit(format!("the query has {} bytes, expected at most {SQL_BYTES_MAX}", text.len())));
        }
        validate_depth(text)?;
        let mut statements = DFParser::parse_sql(text).map_err(|cause| parse_error(&cause.strip_backtrace()))?;
        let statement = match (statements.pop_front(), statements.is_empty()) {
            (Some(statement), true) => statement,
            (None, _) => return Err(Error::sql("the query is empty: expected one SELECT")),
            (Some(_), false) => {
                return Err(Error::sql(format!("expected one SELECT, got {} statements", statements.len() + 1)));
            }
        };
        let OwnStatement::Statement(inner) = &statement else {
            return Err(not_select(&statement.to_string()));
        };
        let Statement::Query(query) = inner.as_ref() else {
            return Err(not_select(&inner.to_string()));
        };
        if !reads_only(&query.body) {
            return Err(not_select(&inner.to_string()));
        }
        let (references, _) = resolve_table_references(&statement, true).map_err(|cause| super::sql_error(&cause))?;
        validate_functions(inner.as_ref(), Place::Query)?;
        validate_literals(inner.as_ref())?;
        let mut factors = Factors::default();
        let _: ControlFlow<()> = inner.visit(&mut factors);
        if factors.tables > TABLES_MAX {
            return Err(Error::Limit(format!(
                "the query has {} table references, subqueries included, expected at most {TABLES_MAX}",
                factors.tables
            )));
        }
        let mut tables = Vec::new();
        for reference in references {
            if factors.names.contains(&reference.to_string()) {
                continue;
            }
            let name = match (reference.catalog(), reference.schema()) {
                (Some(catalog), _) => {
                    return Err(Error::sql(format!(
                        "table `{reference}` names a catalog `{catalog}`: expected a dataset's name"
                    )));
                }
                (None, Some(schema)) => format!("{schema}.{}", reference.table()),
                (None, None) => reference.table().to_owned(),
            };
            tables.push(name);
        }
        tables.sort();
        tables.dedup();
        Ok(Self { statement, tables })
    }

    /// The tables it reads, ordered, without its common table expressions.
    pub(crate) fn tables(&self) -> &[String] {
        &self.tables
    }

    /// The statement.
    pub(crate) fn into_statement(self) -> OwnStatement {
        self.statement
    }
}

/// The table references of a query.
#[derive(Default)]
struct Factors {
    /// Names of table functions, such as `generate_series(1, 9)`.
    names: BTreeSet<String>,
    /// The number of tables, table functions and subqueries, repeated ones included.
    tables: usize,
}

impl Visitor for Factors {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.tables += 1;
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.names.insert(name.to_string().to_lowercase());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The tables that one SELECT reads, ordered.
pub(crate) fn tables_in(text: &str) -> Result<Vec<String>> {
    Select::parse(text).map(|select| select.tables)
}

/// The line and column, from 1, where `text` first contains `table` as a word.
pub(super) fn position_of(text: &str, table: &str) -> Option<(usize, usize)> {
    let last = table.rsplit('.').next()?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (number, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (at, _) in lower.match_indices(&last.to_lowercase()) {
            let is_whole = !lower[..at].ends_with(is_word) && !lower[at + last.len()..].starts_with(is_word);
            if is_whole {
                return Some((number + 1, lower[..at].chars().count() + 1));
            }
        }
    }
    None
}

fn reads_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads_only(&query.body),
        SetExpr::SetOperation { left, right, .. } => reads_only(left) && reads_only(right),
        SetExpr::Values(_) => true,
        _ => false,
    }
}

fn not_select(statement: &str) -> Error {
    let verb = statement.split_whitespace().next().unwrap_or_default().to_uppercase();
    Error::sql(format!("expected one SELECT, got `{verb}`"))
}

/// Converts the parser's message, with line and column first.
pub(super) fn parse_error(text: &str) -> Error {
    let text = one_line(text);
    let text = text.strip_prefix("SQL error: ").unwrap_or(&text);
    let text = text.trim_start_matches("ParserError(\"").trim_end_matches("\")");
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    match text.rsplit_once(" at Line: ") {
        Some((problem, position)) => {
            let position = position.trim_end_matches(['"', ')']).replace(", Column: ", " column ");
            Error::sql(format!("line {position}: {}", lower_first(problem)))
        }
        None => Error::sql(lower_first(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        tables_in(sql).expect("one SELECT")
    }

    fn refusal(sql: &str) -> String {
        tables_in(sql).expect_err("no SELECT").to_string()
    }

    #[test]
    fn every_table_is_found_in_any_clause() {
        let sql = "SELECT * FROM b JOIN A USING (k) WHERE x IN (SELECT y FROM \"C\") AND EXISTS (SELECT 1 FROM d) \
                   UNION ALL SELECT * FROM (SELECT * FROM e) AS f";
        assert_eq!(tables(sql), ["C", "a", "b", "d", "e"]);
    }

    #[test]
    fn common_table_expressions_are_not_tables_in_their_scope() {
        assert_eq!(tables("WITH t AS (SELECT * FROM a) SELECT * FROM t JOIN b USING (k)"), ["a", "b"]);
        assert_eq!(tables("SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) JOIN t ON true"), ["t"]);
    }

    #[test]
    fn a_table_function_is_not_a_table() {
        assert_eq!(tables("SELECT * FROM generate_series(1, 3) JOIN a ON true"), ["a"]);
    }

    #[test]
    fn a_qualified_name_is_kept() {
        assert_eq!(tables("SELECT * FROM features.train"), ["features.train"]);
    }

    #[test]
    fn only_one_select_is_accepted() {
        for sql in [
            "SET datafusion.runtime.memory_limit = '1G'",
            "CREATE TABLE t AS SELECT 1",
            "INSERT INTO t VALUES (1)",
            "COPY t TO 'x'",
            "EXPLAIN SELECT 1",
            "DROP TABLE t",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            "SELECT 1; SELECT 2",
            "",
        ] {
            assert!(refusal(sql).contains("expected one SELECT"), "{sql}: {}", refusal(sql));
        }
    }

    #[test]
    fn an_error_names_line_and_column() {
        assert_eq!(refusal("SELECT *\nFROM a WHERE (x = 1 2)"), "line 2 column 21: expected: ), found: 2");
        assert_eq!(refusal("SELECT (x"), "expected: ), found: EOF");
        assert_eq!(position_of("SELECT 1\nFROM flights_x, flights", "flights"), Some((2, 17)));
    }
}
