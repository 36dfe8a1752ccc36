//! The functions that a query may call.
//!
//! DataFusion offers about 250 functions; a new version may add some. [`list`] gives each of them a rule, and a test
//! fails for one without. A query may call those that are allowed; those whose result its arguments do not bound are
//! wrapped ([`bounded`]), by their name and wherever the planner puts a call of its own ([`FunctionRewrite`]).

mod bounded;
mod concatenation;
mod growth;
mod list;
mod measure;
mod memory;
mod validate;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use datafusion::catalog::TableFunction;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, SessionStateDefaults};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{AggregateUDF, BinaryExpr, Expr, Operator, ScalarUDF, WindowUDF};

use self::bounded::{Bounded, Limits};
use self::concatenation::Concatenation;
use self::growth::Growth;
use self::list::{AGGREGATE, HIGHER_ORDER, Rule, SCALAR, TABLE, WINDOW, rule};
pub(super) use self::measure::bytes;
pub(super) use self::memory::ResultMemory;
pub(super) use self::validate::{Place, validate_functions};
use super::interrupt::Interrupt;

/// The functions of the query engine that have a rule other than to be refused.
struct Offered {
    scalar: Vec<(Arc<ScalarUDF>, Rule)>,
    aggregate: Vec<(Arc<AggregateUDF>, Rule)>,
    window: Vec<(Arc<WindowUDF>, Rule)>,
    table: Vec<(Arc<TableFunction>, Rule)>,
    /// The rules of refused functions, by every name.
    refused: BTreeMap<String, Rule>,
}

impl Offered {
    fn get() -> &'static Self {
        static OFFERED: OnceLock<Offered> = OnceLock::new();
        OFFERED.get_or_init(|| {
            let mut refused = BTreeMap::new();
            let mut offered = |list, name: &str, aliases: &[String]| match rule(list, name) {
                Some(rule @ Rule::Refused { .. }) => {
                    refused
                        .extend(aliases.iter().map(String::as_str).chain([name]).map(|name| (name.to_owned(), rule)));
                    None
                }
                other => other,
            };
            let scalar = SessionStateDefaults::default_scalar_functions().into_iter();
            let scalar = scalar.filter_map(|f| offered(SCALAR, f.name(), f.aliases()).map(|rule| (f, rule))).collect();
            let aggregate = SessionStateDefaults::default_aggregate_functions().into_iter();
            let aggregate =
                aggregate.filter_map(|f| offered(AGGREGATE, f.name(), f.aliases()).map(|rule| (f, rule))).collect();
            let window = SessionStateDefaults::default_window_functions().into_iter();
            let window = window.filter_map(|f| offered(WINDOW, f.name(), f.aliases()).map(|rule| (f, rule))).collect();
            let table = SessionStateDefaults::default_table_functions().into_iter();
            let table = table.filter_map(|f| offered(TABLE, f.name(), &[]).map(|rule| (f, rule))).collect();
            for f in SessionStateDefaults::default_higher_order_functions() {
                let _: Option<Rule> = offered(HIGHER_ORDER, f.name(), f.aliases());
            }
            Self { scalar, aggregate, window, table, refused }
        })
    }
}

/// The functions of one query.
#[derive(Debug)]
pub(super) struct Functions {
    /// Functions with limits, by their first name.
    bounded: HashMap<String, Arc<ScalarUDF>>,
    concatenation: Arc<ScalarUDF>,
}

impl Functions {
    /// Functions whose results are counted in `memory` and that end with `interrupt`.
    pub(super) fn new(memory: &ResultMemory, interrupt: &Interrupt) -> Self {
        let limits = Limits { memory: memory.clone(), interrupt: interrupt.clone(), constants: Mutex::default() };
        let limits = Arc::new(limits);
        let bounded = Offered::get().scalar.iter().filter_map(|(function, rule)| match rule {
            Rule::Bounded(growth) => {
                let wrapped = Bounded::wrap(Arc::clone(function), *growth, &limits);
                Some((function.name().to_owned(), Arc::new(wrapped)))
            }
            _ => None,
        });
        let concatenation = Bounded::wrap(Arc::new(Concatenation::function()), Growth::Joined, &limits);
        Self { bounded: bounded.collect(), concatenation: Arc::new(concatenation) }
    }

    /// A session's builder with these functions and no others.
    pub(super) fn offer(&self, builder: SessionStateBuilder) -> SessionStateBuilder {
        let offered = Offered::get();
        let scalar = offered.scalar.iter().map(|(function, _)| self.limited(function));
        builder
            .with_scalar_functions(scalar.collect())
            .with_higher_order_functions(Vec::new())
            .with_aggregate_functions(offered.aggregate.iter().map(|(function, _)| Arc::clone(function)).collect())
            .with_window_functions(offered.window.iter().map(|(function, _)| Arc::clone(function)).collect())
            .with_table_function_list(offered.table.iter().map(|(function, _)| Arc::clone(function)).collect())
    }

    /// Puts these functions in place of the calls that the planner makes.
    pub(super) fn rewrite_in(self, state: &mut SessionState) {
        // Registering cannot fail: the session adds the rewrite to its list.
        let _ = state.register_function_rewrite(Arc::new(self));
    }

    fn limited(&self, function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        Arc::clone(self.bounded.get(function.name()).unwrap_or(function))
    }
}

impl FunctionRewrite for Functions {
    fn name(&self) -> &'static str {
        "bounded_functions"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                if let (true, Some(pattern)) = (func.name().starts_with("regexp_"), args.get(1)) {
                    validate_pattern(pattern)?;
                }
                let limited = self.limited(&func);
                let changed = !Arc::ptr_eq(&limited, &func);
                let call = Expr::ScalarFunction(ScalarFunction { func: limited, args });
                Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                let func = Arc::clone(&self.concatenation);
                let args = match *left {
                    // A chain of operators is one call.
                    Expr::ScalarFunction(mut chain) if Arc::ptr_eq(&chain.func, &func) => {
                        chain.args.push(*right);
                        chain.args
                    }
                    left => vec![left, *right],
                };
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
            }
            Expr::BinaryExpr(binary) => {
                if is_match(binary.op) {
                    validate_pattern(&binary.right)?;
                }
                Ok(Transformed::no(Expr::BinaryExpr(binary)))
            }
            Expr::SimilarTo(like) => {
                validate_pattern(&like.pattern)?;
                Ok(Transformed::no(Expr::SimilarTo(like)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_match(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

/// Returns an error for a regular expression that differs between rows: the engine would keep a compiled one, of up to
/// 10 MB, for each.
fn validate_pattern(pattern: &Expr) -> Result<()> {
    let differs =
        |part: &Expr| Ok(matches!(part, Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_)));
    if pattern.exists(differs)? {
        return plan_err!(
            "the regular expression `{pattern}` depends on the row, expected a constant: join with the patterns and use `LIKE`"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
