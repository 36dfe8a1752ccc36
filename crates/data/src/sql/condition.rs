//! Validates the conditions of checks: one expression over the columns of a row or the rows of a load.

use std::ops::ControlFlow;

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::{Expr, Visit, Visitor};

use super::depth::validate_depth;
use super::functions::{Place, validate_functions};
use super::literals::validate_literals;
use super::names::parse_error;
use crate::error::{Error, Result};

/// The longest condition, in bytes.
const CONDITION_BYTES_MAX: usize = 16 << 10;

/// Returns an error unless `text` is one expression without queries and window functions that calls only known
/// functions. Its columns and types can be checked only against data.
pub(crate) fn validate_condition(text: &str) -> Result<()> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(Error::Limit(format!(
            "the condition has {} bytes, expected at most {CONDITION_BYTES_MAX}",
            text.len()
        )));
    }
    validate_depth(text)?;
    let parsed = DFParser::parse_sql_into_expr(text).map_err(|cause| parse_error(&cause.strip_backtrace()))?;
    if let ControlFlow::Break(refused) = parsed.visit(&mut QueryVisitor) {
        return Err(refused);
    }
    validate_functions(&parsed, Place::Condition)?;
    validate_literals(&parsed)
}

/// Refuses queries inside of an expression.
struct QueryVisitor;

impl Visitor for QueryVisitor {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        match expr {
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(Error::sql_with(
                "a condition cannot contain a query",
                "use a check with `references` to require that values exist in another dataset",
            )),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;
    use datafusion::prelude::SessionContext;
    use perennial_core::sql::is_aggregate;

    use super::*;

    #[test]
    fn conditions_that_the_planner_accepts_are_accepted() {
        let columns = "user,id,length,x,at,tags";
        let fields = columns.split(',').map(|name| {
            let kind = match name {
                "id" | "x" => arrow::datatypes::DataType::Int64,
                "at" => arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
                _ => arrow::datatypes::DataType::Utf8,
            };
            arrow::datatypes::Field::new(name, kind, true)
        });
        let schema = DFSchema::try_from(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())).unwrap();
        let session = SessionContext::new();
        for condition in [
            "user IS NOT NULL",
            "\"length\"(length) > 1 AND LENGTH(length) > 1",
            "make_map('a', x)['a'] = 1",
            "EXTRACT(year FROM at) > 2012 AND at < current_date + INTERVAL '1 day'",
            "TRY_CAST(length AS BIGINT) > 0 AND x::text LIKE '%1' AND position('a' IN length) = 0",
            "substring(length FROM 1 FOR 2) = 'a' AND trim(both ' ' FROM length) <> ''",
            "CASE WHEN x > 0 THEN true ELSE id IN (1, 2, 3) END",
            "x BETWEEN -1 AND 1 OR coalesce(nullif(x, 2), 0) = ceil(1.5)",
            "length ~ '^[a-z]+$' AND regexp_like(length, 'a')",
            "count(*) > 1 AND count(DISTINCT id) = count(id) AND avg(x) FILTER (WHERE x > 0) < 9",
            "array_length([1, 2, 3]) = 3 AND now() > at AND date_trunc('day', at) = at",
        ] {
            session.parse_sql_expr(condition, &schema).unwrap_or_else(|error| panic!("{condition}: {error}"));
            validate_condition(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
        }
    }

    #[test]
    fn invalid_conditions_are_refused_with_position_and_hint() {
        for (condition, message, hint) in [
            ("x >", "expected: an expression, found: EOF", None),
            ("x > 1 2", "line 1 column 7: expected: end of expression, found: 2", None),
            ("x > 0 AND\nlenght(id) > 1", "line 2 column 1: unknown function `lenght`", Some("did you mean `length`?")),
            ("id IN (SELECT id FROM t)", "a condition cannot contain a query", Some("`references`")),
            ("EXISTS (SELECT 1)", "a condition cannot contain a query", Some("`references`")),
            ("sum(x) OVER () > 1", "line 1 column 1: a condition cannot contain a window function", Some("in a step")),
            (
                "row_number() > 1",
                "a condition cannot contain a window function such as `row_number`",
                Some("in a step"),
            ),
        ] {
            let error: perennial_core::Error = validate_condition(condition).unwrap_err().into();
            assert!(error.message().contains(message), "{condition}: {}", error.message());
            assert_eq!(hint.is_some(), error.hint().is_some(), "{condition}: {:?}", error.hint());
            assert!(error.hint().unwrap_or_default().contains(hint.unwrap_or_default()), "{condition}");
        }
        assert!(validate_condition(&vec!["x"; 3_000].join("+")).unwrap_err().to_string().contains("1000 operators"));
        assert!(validate_condition(&" ".repeat(CONDITION_BYTES_MAX + 1)).unwrap_err().to_string().contains("bytes"));
    }

    #[test]
    fn every_aggregate_function_is_recognized() {
        let state = SessionContext::new().state();
        let names = state.aggregate_functions().keys();
        let missing: Vec<&String> = names.filter(|name| !is_aggregate(&format!("{name}(x) > 0"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
