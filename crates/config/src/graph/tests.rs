use std::collections::BTreeMap;

use perennial_core::name::StepName;

use super::{Graph, GraphNode};
use crate::project::{Step, StepKind};

/// SQL steps, each with the tables it reads.
fn graph(steps: &[(&str, &[&str])]) -> Graph {
    let name = |text: &str| text.parse::<StepName>().unwrap();
    let sql = |step: &str| (name(step), Step { kind: StepKind::Sql { file: format!("{step}.sql") } });
    let tables: BTreeMap<StepName, Vec<String>> =
        steps.iter().map(|(step, tables)| (name(step), tables.iter().map(ToString::to_string).collect())).collect();
    Graph::new(None, &steps.iter().map(|(step, _)| sql(step)).collect(), &BTreeMap::new(), &tables)
}

fn names(steps: Vec<&StepName>) -> Vec<&str> {
    steps.into_iter().map(AsRef::as_ref).collect()
}

#[test]
fn steps_come_after_their_dependencies_and_ties_are_ordered_by_name() {
    let graph = graph(&[("z", &["a", "source"]), ("a", &["m"]), ("m", &[]), ("b", &["source"])]);
    assert_eq!(names(graph.topological_order()), ["b", "m", "a", "z"]);
    let z = GraphNode::Dataset("z".parse().unwrap());
    assert_eq!(names(graph.required_steps(&z)), ["m", "a", "z"]);
    assert_eq!(names(graph.dependencies(&"z".parse().unwrap()).into_iter().collect()), ["a"]);
    let source = GraphNode::Dataset("source".parse().unwrap());
    assert!(graph.producer(&source).is_none() && graph.required_steps(&source).is_empty());
}

#[test]
fn a_cycle_contains_only_its_own_steps() {
    let graph = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
    assert_eq!(names(graph.cycle().unwrap()), ["b", "c"]);
    assert_eq!(names(graph.topological_order()), ["d"]);
}

#[test]
fn a_chain_of_a_thousand_steps_is_ordered() {
    let names: Vec<String> = (0..1000).map(|step| format!("s{step:04}")).collect();
    let name = |text: &str| text.parse::<StepName>().unwrap();
    let steps = names.iter().map(|step| (name(step), Step { kind: StepKind::Sql { file: String::new() } })).collect();
    let tables = names.windows(2).map(|pair| (name(&pair[0]), vec![pair[1].clone()])).collect();
    let graph = Graph::new(None, &steps, &BTreeMap::new(), &tables);
    let order = graph.topological_order();
    assert_eq!((order.len(), order[0].as_str(), order[999].as_str()), (1000, "s0999", "s0000"));
}
