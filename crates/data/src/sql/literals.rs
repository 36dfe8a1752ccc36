//! Refuses number literals of which the engine would not keep every digit.
//!
//! An integer beyond 64 bits becomes a double in the engine's parser, so that a comparison with an id of 20 digits would find
//! another id, or none. A literal with an exponent, such as `1e20`, is a double by its form.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value, ValueWithSpan, Visit, Visitor};
use perennial_core::frame::is_exact;

use crate::error::{Error, Result};

/// Returns an error for a number in `parsed` that the engine would round to another integer.
pub(super) fn validate_literals(parsed: &impl Visit) -> Result<()> {
    match parsed.visit(&mut LiteralVisitor) {
        ControlFlow::Break(refused) => Err(refused),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct LiteralVisitor;

impl Visitor for LiteralVisitor {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        match expr {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                Expr::Value(value) => validate("-", value),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        validate("", value)
    }
}

fn validate(sign: &str, literal: &ValueWithSpan) -> ControlFlow<Error> {
    let Value::Number(text, _) = &literal.value else { return ControlFlow::Continue(()) };
    let digits = format!("{sign}{}", text.replace('_', ""));
    if keeps_digits(&digits) {
        return ControlFlow::Continue(());
    }
    let start = literal.span.start;
    let place = if start.line > 0 { format!("line {} column {}: ", start.line, start.column) } else { String::new() };
    ControlFlow::Break(Error::sql_with(
        format!("{place}the number `{digits}` has more digits than numbers have here"),
        format!(
            "write it as text: `'{digits}'` to compare it with text, `CAST('{digits}' AS DECIMAL(38, 0))` to compare it with decimals"
        ),
    ))
}

/// Whether the engine has the integer part of a number unchanged.
fn keeps_digits(number: &str) -> bool {
    if number.contains(['e', 'E']) || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let Some((whole, _)) = number.split_once('.') else { return false };
    matches!(whole, "" | "-") || whole.parse::<i128>().is_ok_and(is_exact)
}

#[cfg(test)]
mod tests {
    use crate::sql::{tables_in, validate_condition};

    #[test]
    fn numbers_whose_digits_the_engine_would_lose_are_refused_with_the_remedy() {
        for (number, kept) in [
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("1_844_674_407_370_955_161_6", false),
            ("-9223372036854775808", true),
            ("-9223372036854775809", false),
            ("9007199254740992.0", true),
            ("9007199254740993.0", false),
            ("-9007199254740993.5", false),
            ("99999999999999999999999999999999999999999.5", false),
            ("0.12345678901234567890", true),
            (".5", true),
            ("1e20", true),
            ("'18446744073709551616'", true),
        ] {
            let sql = format!("SELECT n FROM t WHERE id IN ({number})");
            let refused = tables_in(&sql).err();
            assert_eq!(refused.is_none(), kept, "{sql}");
            assert_eq!(validate_condition(&format!("id = {number}")).is_ok(), kept, "{number}");
            if let Some(refused) = refused {
                let text = refused.to_string();
                assert!(text.starts_with("line 1 column "), "{text}");
            }
        }
    }
}
