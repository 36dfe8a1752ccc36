//! Validates the functions that a text calls, before it is planned.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Function, FunctionArguments, Ident, ObjectName, TableFactor, Visit, Visitor,
};
use perennial_core::rule::did_you_mean;

use super::Offered;
use super::list::{Rule, TABLE, rule};
use crate::error::{Error, Result};

/// Functions that the planner implements, which no registry lists.
const PLANNER_FUNCTIONS: [&str; 2] = ["make_map", "unnest"];

/// Where functions are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Place {
    /// In a SELECT.
    Query,
    /// In the condition of a check, over the columns of a row or the rows of a load.
    Condition,
}

/// Returns an error unless every function that `parsed` calls is known and allowed.
pub(in crate::sql) fn validate_functions(parsed: &impl Visit, place: Place) -> Result<()> {
    match parsed.visit(&mut FunctionVisitor(place)) {
        ControlFlow::Break(refused) => Err(refused),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct FunctionVisitor(Place);

impl Visitor for FunctionVisitor {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let refused = match expr {
            // A word such as `user` may be a column, which only the data can show.
            Expr::Function(function) if function.args == FunctionArguments::None => None,
            Expr::Function(function) => self.validate_call(function).err(),
            Expr::Cast { data_type, .. } => validate_type(data_type).err(),
            _ => None,
        };
        refused.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        let refused = match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                validate_table_function(name).err()
            }
            _ => None,
        };
        refused.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

impl FunctionVisitor {
    fn validate_call(&self, function: &Function) -> Result<()> {
        let Some(ident) = only_part(&function.name) else { return Ok(()) };
        let (name, known) = (lower(ident), Names::get());
        let over = function.over.is_some();
        if self.0 == Place::Condition && (over || known.windows.contains(&name) && !known.plain.contains(&name)) {
            let message = located(ident, &format!("a condition cannot contain a window function such as `{name}`"));
            return Err(Error::sql_with(message, "compute it in a step, as a column that the check reads"));
        }
        if over && known.grouped.contains(&name) {
            let message =
                format!("`{name}` is not allowed as a window function: it would repeat all rows for each row");
            let hint = format!("use `{name}` with `GROUP BY` in a subquery, and join with its result");
            return Err(Error::sql_with(located(ident, &message), hint));
        }
        let is_planners = name == "make_map" || self.0 == Place::Query && PLANNER_FUNCTIONS.contains(&name.as_str());
        if known.plain.contains(&name) || known.windows.contains(&name) || is_planners {
            return Ok(());
        }
        Err(unknown(ident, &name, "function", known.plain.iter().map(String::as_str)))
    }
}

fn validate_table_function(name: &ObjectName) -> Result<()> {
    let Some(ident) = only_part(name) else { return Ok(()) };
    let name = lower(ident);
    match rule(TABLE, &name) {
        Some(Rule::Refused { .. }) | None => {
            Err(unknown(ident, &name, "table function", TABLE.iter().map(|(name, _)| *name)))
        }
        Some(_) => Ok(()),
    }
}

/// Returns an error for a type whose values have a size that the text states.
fn validate_type(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(_, Some(_))) => Err(Error::sql_with(
            format!("the type `{data_type}` states a number of elements"),
            "leave the number out: a list has as many elements as its value",
        )),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, None)
            | ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::Parenthesis(element),
        ) => validate_type(element),
        _ => Ok(()),
    }
}

fn unknown<'a>(ident: &Ident, name: &str, noun: &str, known: impl Iterator<Item = &'a str>) -> Error {
    if let Some(Rule::Refused { reason, instead }) = Offered::get().refused.get(name) {
        return Error::sql_with(located(ident, &format!("`{name}` is not allowed: {reason}")), *instead);
    }
    Error::Sql { message: located(ident, &format!("unknown {noun} `{name}`")), hint: did_you_mean(name, known) }
}

fn only_part(name: &ObjectName) -> Option<&Ident> {
    let [part] = name.0.as_slice() else { return None };
    part.as_ident()
}

fn lower(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn located(ident: &Ident, message: &str) -> String {
    let start = ident.span.start;
    format!("line {} column {}: {message}", start.line, start.column)
}

/// The names of functions that may be called, other names of them included.
struct Names {
    /// Scalar and aggregate functions.
    plain: BTreeSet<String>,
    /// Window functions.
    windows: BTreeSet<String>,
    /// Aggregate functions that cannot be window functions.
    grouped: BTreeSet<String>,
}

impl Names {
    fn get() -> &'static Self {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(|| {
            fn all(name: &str, aliases: &[String]) -> impl Iterator<Item = String> {
                aliases.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>().into_iter()
            }
            let offered = Offered::get();
            let scalar = offered.scalar.iter().flat_map(|(f, _)| all(f.name(), f.aliases()));
            let aggregate = offered.aggregate.iter().flat_map(|(f, _)| all(f.name(), f.aliases()));
            let grouped = offered.aggregate.iter().filter(|(_, rule)| matches!(rule, Rule::Grouped));
            Self {
                plain: scalar.chain(aggregate).collect(),
                windows: offered.window.iter().flat_map(|(f, _)| all(f.name(), f.aliases())).collect(),
                grouped: grouped.flat_map(|(f, _)| all(f.name(), f.aliases())).collect(),
            }
        })
    }
}
