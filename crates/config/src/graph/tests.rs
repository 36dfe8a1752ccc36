use std::collections::BTreeMap;

use perennial_core::name::StepName;

use super::{Graph, Thing};
use crate::project::{Act, Step};

/// SQL steps, each with the tables it names.
fn graph(steps: &[(&str, &[&str])]) -> Graph {
    let name = |text: &str| text.parse::<StepName>().unwrap();
    let sql = |step: &str| (name(step), Step { act: Act::Sql { file: format!("{step}.sql") } });
    let tables: BTreeMap<StepName, Vec<String>> =
        steps.iter().map(|(step, tables)| (name(step), tables.iter().map(ToString::to_string).collect())).collect();
    Graph::of(None, &steps.iter().map(|(step, _)| sql(step)).collect(), &BTreeMap::new(), &tables)
}

fn names(steps: Vec<&StepName>) -> Vec<&str> {
    steps.into_iter().map(AsRef::as_ref).collect()
}

#[test]
fn every_step_comes_after_all_it_needs_else_by_name() {
    let graph = graph(&[("z", &["a", "source"]), ("a", &["m"]), ("m", &[]), ("b", &["source"])]);
    assert_eq!(names(graph.order()), ["b", "m", "a", "z"]);
    let z = Thing::Dataset("z".parse().unwrap());
    assert_eq!(names(graph.leading_to(&z)), ["m", "a", "z"]);
    assert_eq!(names(graph.before(&"z".parse().unwrap()).into_iter().collect()), ["a"]);
    let source = Thing::Dataset("source".parse().unwrap());
    assert!(graph.maker(&source).is_none() && graph.leading_to(&source).is_empty());
}

#[test]
fn a_circle_is_found_and_whoever_waits_for_it_is_not_in_it() {
    let graph = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
    assert_eq!(names(graph.cycle().unwrap()), ["b", "c"]);
    assert_eq!(names(graph.order()), ["d"]);
}

#[test]
fn a_thousand_steps_in_a_row_are_ordered() {
    let names: Vec<String> = (0..1000).map(|step| format!("s{step:04}")).collect();
    let name = |text: &str| text.parse::<StepName>().unwrap();
    let steps = names.iter().map(|step| (name(step), Step { act: Act::Sql { file: String::new() } })).collect();
    let tables = names.windows(2).map(|pair| (name(&pair[0]), vec![pair[1].clone()])).collect();
    let graph = Graph::of(None, &steps, &BTreeMap::new(), &tables);
    let order = graph.order();
    assert_eq!((order.len(), order[0].as_str(), order[999].as_str()), (1000, "s0999", "s0000"));
}
