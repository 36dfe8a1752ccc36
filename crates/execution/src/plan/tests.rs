use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Difference, Graph, KeyParts, Node, Outcome, Schedule, differences};

fn node(name: &str, after: &[&str]) -> Node {
    Node { name: name.into(), after: after.iter().map(|&s| s.to_owned()).collect() }
}

fn diamond() -> Graph {
    Graph::new(vec![node("d", &["b", "c"]), node("b", &["a"]), node("c", &["a"]), node("a", &["source"])]).unwrap()
}

#[test]
fn each_step_follows_all_it_waits_for() {
    let graph = diamond();
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(graph.closure(&["b"]), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_cycle_is_named() {
    let error = Graph::new(vec![node("a", &["c"]), node("b", &["a"]), node("c", &["b"]), node("x", &[])]).unwrap_err();
    assert_eq!(error.to_string(), "steps wait for each other: a → b → c → a");
}

#[test]
fn a_failure_skips_all_that_waited_for_it_and_nothing_else() {
    let graph = diamond();
    let mut schedule = Schedule::new(&graph, &graph.closure(&["d"]));
    assert_eq!(schedule.start(2).as_deref(), Some("a"));
    assert_eq!(schedule.start(2), None);
    schedule.finish("a", Outcome::Done);
    assert_eq!(schedule.start(2).as_deref(), Some("b"));
    assert_eq!(schedule.start(2).as_deref(), Some("c"));
    assert_eq!(schedule.start(2), None);
    schedule.finish("b", Outcome::Failed);
    assert_eq!(schedule.skipped(), [("d".to_owned(), "b".to_owned())]);
    schedule.finish("c", Outcome::Done);
    assert_eq!(schedule.start(2), None);
}

#[test]
fn what_is_not_wanted_is_not_waited_for() {
    let graph = diamond();
    let mut schedule = Schedule::new(&graph, &BTreeSet::from(["d".to_owned()]));
    assert_eq!(schedule.start(1).as_deref(), Some("d"));
    schedule.finish("d", Outcome::Done);
    assert_eq!(schedule.start(1), None);
}

#[test]
fn many_steps_that_wait_for_many_are_started_in_little_time() {
    // Every step of a layer waits for every one of the layer before: 90,000 edges.
    let layer = |layer: usize| (0..300).map(move |step| format!("{layer}-{step:03}"));
    let nodes = (0..2).flat_map(|at| {
        layer(at).map(move |name| Node { name, after: if at == 0 { BTreeSet::new() } else { layer(0).collect() } })
    });
    let graph = Graph::new(nodes.collect()).unwrap();
    let mut schedule = Schedule::new(&graph, &graph.nodes().iter().map(|node| node.name.clone()).collect());
    let mut started = 0;
    while let Some(name) = schedule.start(1) {
        assert!(name.starts_with('0') == (started < 300));
        started += 1;
        schedule.finish(&name, Outcome::Done);
    }
    assert_eq!(started, 600);
}

#[test]
fn differences_name_the_part_and_shorten_digests() {
    let before = KeyParts::new().with("code:train.py", "a".repeat(64)).with("params", "{}").with("x", "1");
    let now = KeyParts::new().with("code:train.py", "b".repeat(64)).with("params", "{}").with("y", "1");
    let texts: Vec<String> = differences(&before, &now).iter().map(Difference::to_string).collect();
    assert_eq!(texts, ["code:train.py changed (aaaaaaaa → bbbbbbbb)", "x is gone", "y is new"]);
    assert!(differences(&now, &now).is_empty());
}

#[test]
fn differences_of_named_values_and_of_long_texts_show_what_differs() {
    let query = |last: &str| format!("SELECT {} FROM orders WHERE {last}", "a, ".repeat(40));
    let checks = |most: u32| {
        format!("[[\"low\",{{\"that\":\"x > 0\"}},1.0,\"error\"],[\"high\",{{\"that\":\"x < {most}\"}},1.0,\"error\"]]")
    };
    let before = KeyParts::new()
        .with("params", r#"{"trees":300,"bins":"5","depth":{"most":3}}"#)
        .with("sql", query("late"))
        .with("checks", checks(7));
    let now = KeyParts::new()
        .with("params", r#"{"trees":30,"bins":5,"rate":0.1,"depth":{"most":4}}"#)
        .with("sql", query("NOT late"))
        .with("checks", checks(8));
    let texts: Vec<String> = differences(&before, &now).iter().map(Difference::to_string).collect();
    assert_eq!(
        texts,
        [
            r#"checks.high changed ([{"that":"x < 7"},1.0,"error"] → [{"that":"x < 8"},1.0,"error"])"#,
            r#"params.bins changed ("5" → 5)"#,
            "params.depth.most changed (3 → 4)",
            "params.rate is new",
            "params.trees changed (300 → 30)",
            "sql changed (…OM orders WHERE late → …OM orders WHERE NOT late)",
        ]
    );
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_when_the_parts_are(
        a in proptest::collection::btree_map("[a-c]{0,3}", "[a-c]{0,3}", 0..4),
        b in proptest::collection::btree_map("[a-c]{0,3}", "[a-c]{0,3}", 0..4),
    ) {
        let parts = |map: &std::collections::BTreeMap<String, String>| {
            map.iter().fold(KeyParts::new(), |parts, (k, v)| parts.with(k.clone(), v.clone()))
        };
        prop_assert_eq!(a == b, parts(&a).key() == parts(&b).key());
    }

    #[test]
    fn every_order_of_a_random_graph_holds(edges in proptest::collection::vec((0usize..12, 0usize..12), 0..30)) {
        let nodes: Vec<Node> = (0..12)
            .map(|i| Node {
                name: format!("s{i:02}"),
                after: edges.iter().filter(|(from, to)| to == &i && from < to).map(|(from, _)| format!("s{from:02}")).collect(),
            })
            .collect();
        let graph = Graph::new(nodes).unwrap();
        let mut seen = BTreeSet::new();
        for node in graph.nodes() {
            prop_assert!(node.after.iter().all(|name| seen.contains(name)));
            seen.insert(node.name.clone());
        }
        prop_assert_eq!(seen.len(), 12);
    }

    #[test]
    fn a_step_starts_when_all_before_it_are_done_and_is_skipped_when_one_failed(
        edges in proptest::collection::vec((0usize..12, 0usize..12), 0..30),
        failing in proptest::collection::btree_set(0usize..12, 0..3),
        limit in 1usize..4,
    ) {
        let name = |i: usize| format!("s{i:02}");
        let before = |i: usize| edges.iter().filter(move |(from, to)| *to == i && from < to).map(|(from, _)| *from);
        let nodes = (0..12).map(|i| Node { name: name(i), after: before(i).map(name).collect() }).collect();
        let graph = Graph::new(nodes).unwrap();
        let mut schedule = Schedule::new(&graph, &(0..12).map(name).collect());
        let (mut done, mut running, mut ended) = (BTreeSet::new(), Vec::new(), 0);
        loop {
            while let Some(started) = schedule.start(limit) {
                running.push((0..12).find(|i| name(*i) == started).unwrap());
            }
            prop_assert!(running.len() <= limit);
            let Some(step) = running.pop() else { break };
            ended += 1;
            prop_assert!(before(step).all(|before| done.contains(&before)));
            if failing.contains(&step) {
                schedule.finish(&name(step), Outcome::Failed);
            } else {
                done.insert(step);
                schedule.finish(&name(step), Outcome::Done);
            }
        }
        let skipped: BTreeSet<&String> = schedule.skipped().iter().map(|(name, _)| name).collect();
        prop_assert_eq!(skipped.len(), schedule.skipped().len(), "each once");
        prop_assert_eq!(ended + skipped.len(), 12, "each ends or is skipped");
        for i in 0..12 {
            let lost = before(i).any(|before| !done.contains(&before));
            prop_assert_eq!(skipped.contains(&name(i)), lost);
        }
    }
}
