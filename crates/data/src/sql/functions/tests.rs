//! Every function of the query engine has a rule, and the reference lists those that may be called.

use std::collections::BTreeSet;
use std::fmt::Write;

use datafusion::execution::SessionStateDefaults;

use super::list::Listed;
use super::*;

fn check_listed(list: &[Listed], offered: impl Iterator<Item = String>) {
    let listed: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
    assert!(listed.is_sorted(), "{listed:?}");
    let listed: BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
    let offered: BTreeSet<String> = offered.collect();
    let missing: Vec<_> = offered.difference(&listed).collect();
    assert!(missing.is_empty(), "functions without a rule in list.rs: {missing:?}");
    let stale: Vec<_> = listed.difference(&offered).collect();
    assert!(stale.is_empty(), "list.rs names functions that the engine does not offer: {stale:?}");
}

#[test]
fn every_function_of_the_engine_has_a_rule() {
    type Defaults = SessionStateDefaults;
    check_listed(SCALAR, Defaults::default_scalar_functions().iter().map(|f| f.name().to_owned()));
    check_listed(HIGHER_ORDER, Defaults::default_higher_order_functions().iter().map(|f| f.name().to_owned()));
    check_listed(AGGREGATE, Defaults::default_aggregate_functions().iter().map(|f| f.name().to_owned()));
    check_listed(WINDOW, Defaults::default_window_functions().iter().map(|f| f.name().to_owned()));
    check_listed(TABLE, Defaults::default_table_functions().iter().map(|f| f.name().to_owned()));
}

#[test]
fn a_session_has_no_other_functions() {
    let functions = Functions::new(&ResultMemory::new(1 << 20), &Interrupt::default());
    let state = functions.offer(SessionStateBuilder::new().with_default_features()).build();
    let names = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
    for name in names.chain(state.window_functions().keys()).chain(state.table_functions().keys()) {
        assert!(!Offered::get().refused.contains_key(name), "{name}");
    }
    assert!(state.higher_order_functions().is_empty());
    assert!(state.scalar_functions().contains_key("pow") && state.aggregate_functions().contains_key("mean"));
}

/// The rule as the reference of SQL states it.
fn limit(growth: Growth) -> &'static str {
    match growth {
        Growth::Joined | Growth::JoinedBySeparator => "size of the joined values",
        Growth::Repeated => "size of the text × count",
        Growth::Padded => "length × 4 bytes",
        Growth::Replaced => "occurrences × size of the replacement",
        Growth::ReplacedMatches => "matches × size of the replacement",
        Growth::Groups => "groups × size of the text",
        Growth::Formatted => "size of the format × 20",
        Growth::RepeatedElement | Growth::ResizedList => "count × size of the element",
        Growth::ReplacedElements => "elements × size of the replacement",
        Growth::JoinedElements => "elements × size of the separator",
        Growth::ZippedLists => "lists × length of the longest",
        Growth::Series => "number of values × 8 bytes",
        Growth::CharacterPairs | Growth::Searched => "time: length × length",
        Growth::ElementPairs => "time: elements × elements",
    }
}

fn row(name: &str, aliases: &[String], rule: Rule) -> String {
    let others = if aliases.is_empty() { String::new() } else { format!(" (`{}`)", aliases.join("`, `")) };
    let limit = match rule {
        Rule::Bounded(growth) => limit(growth),
        Rule::Grouped => "memory of the query; not as a window function",
        Rule::Allowed | Rule::Refused { .. } => "",
    };
    format!("| `{name}`{others} | {limit} |")
}

fn table(title: &str, mut rows: Vec<String>) -> String {
    rows.sort();
    let mut text = format!("### {title}\n\n| function | bounded by |\n| --- | --- |\n");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

fn refused() -> String {
    let mut text = "### Refused\n\n| function | why | instead |\n| --- | --- | --- |\n".to_owned();
    let lists = SCALAR.iter().chain(HIGHER_ORDER).chain(AGGREGATE).chain(WINDOW).chain(TABLE);
    for (name, rule) in lists {
        if let Rule::Refused { reason, instead } = rule {
            let _ = writeln!(text, "| `{name}` | {reason} | {instead} |");
        }
    }
    text
}

#[test]
fn the_reference_lists_every_function() {
    let page = include_str!("../../../../../docs/reference/sql.md");
    let offered = Offered::get();
    let sections = [
        table("Functions of a row", offered.scalar.iter().map(|(f, rule)| row(f.name(), f.aliases(), *rule)).collect()),
        table("Aggregates", offered.aggregate.iter().map(|(f, rule)| row(f.name(), f.aliases(), *rule)).collect()),
        table("Window functions", offered.window.iter().map(|(f, rule)| row(f.name(), f.aliases(), *rule)).collect()),
        table("Functions in `FROM`", offered.table.iter().map(|(f, rule)| row(f.name(), &[], *rule)).collect()),
        refused(),
    ];
    let listed = sections.join("\n");
    assert!(page.ends_with(&listed), "docs/reference/sql.md must end with\n{listed}");
}
