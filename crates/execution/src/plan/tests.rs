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

#[test]
fn an_order_prefers_names_among_steps_that_may_start() {
    let graph = Graph::new(vec![node("c", &[]), node("a", &["c"]), node("b", &[])]).unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["b", "c", "a"]);
}

#[test]
fn a_step_that_waits_for_itself_is_a_cycle() {
    let error = Graph::new(vec![node("a", &["a"])]).unwrap_err();
    assert_eq!(error.to_string(), "steps wait for each other: a → a");
}

#[test]
fn a_part_of_the_same_name_is_replaced_and_the_order_of_parts_is_without_effect() {
    let parts = KeyParts::new().with("a", "1").with("b", "2").with("a", "3");
    assert_eq!(parts.get("a"), Some("3"));
    assert_eq!(parts.key(), KeyParts::new().with("b", "2").with("a", "3").key());
}

#[test]
fn names_and_contents_that_join_to_the_same_text_have_other_keys() {
    let keys =
        [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")].map(|(name, text)| KeyParts::new().with(name, text).key());
    assert_eq!(BTreeSet::from(keys).len(), 4);
}

#[test]
fn the_end_of_a_step_that_does_not_run_changes_nothing() {
    let graph = diamond();
    let mut schedule = Schedule::new(&graph, &graph.closure(&["d"]));
    for outcome in [Outcome::Done, Outcome::Failed] {
        schedule.finish("a", outcome);
        schedule.finish("unknown", outcome);
    }
    assert!(schedule.skipped().is_empty());
    assert_eq!(schedule.start(1).as_deref(), Some("a"));
}

#[test]
fn a_skipped_step_names_the_failure_that_came_first() {
    let graph = diamond();
    let mut schedule = Schedule::new(&graph, &graph.closure(&["d"]));
    schedule.start(1);
    schedule.finish("a", Outcome::Done);
    schedule.start(2);
    schedule.start(2);
    schedule.finish("c", Outcome::Failed);
    schedule.finish("b", Outcome::Failed);
    assert_eq!(schedule.skipped(), [("d".to_owned(), "c".to_owned())]);
}

type Parts = std::collections::BTreeMap<String, String>;

fn key_parts(map: &Parts) -> KeyParts {
    map.iter().fold(KeyParts::new(), |parts, (name, content)| parts.with(name.clone(), content.clone()))
}

/// Nodes `s00` to `s09`, each after the earlier ones that the edges name.
fn acyclic(edges: &[(usize, usize)]) -> Vec<Node> {
    let name = |i: usize| format!("s{i:02}");
    let before =
        |i: usize| edges.iter().filter(move |(from, to)| *to == i && from < to).map(move |(from, _)| name(*from));
    (0..10).map(|i| Node { name: name(i), after: before(i).collect() }).collect()
}

proptest! {
    #[test]
    fn a_key_changes_exactly_when_a_part_changes(
        parts in proptest::collection::btree_map("[a-z:]{1,8}", ".{0,12}", 1..6),
        chosen in any::<proptest::sample::Index>(),
        content in ".{0,12}",
    ) {
        let mut other: Parts = parts.clone();
        let names: Vec<String> = parts.keys().cloned().collect();
        let name = chosen.get(&names).clone();
        other.insert(name.clone(), content.clone());
        prop_assert_eq!(key_parts(&parts).key() == key_parts(&other).key(), parts[&name] == content);
        other.remove(&name);
        prop_assert_ne!(key_parts(&parts).key(), key_parts(&other).key());
    }

    #[test]
    fn there_are_differences_exactly_when_the_keys_differ(
        before in proptest::collection::btree_map("[a-c]{1,2}", "[a-c\\[\\]{}\":,1]{0,6}", 0..4),
        now in proptest::collection::btree_map("[a-c]{1,2}", "[a-c\\[\\]{}\":,1]{0,6}", 0..4),
    ) {
        let (before, now) = (key_parts(&before), key_parts(&now));
        prop_assert_eq!(differences(&before, &now).is_empty(), before.key() == now.key());
    }

    #[test]
    fn a_difference_is_a_short_line(was in "\\PC{0,200}", is in "\\PC{0,200}") {
        for difference in differences(&KeyParts::new().with("sql", was), &KeyParts::new().with("sql", is)) {
            let line = difference.to_string();
            prop_assert!(line.chars().count() <= "sql changed ( → )".chars().count() + 2 * 50, "{}", line);
            prop_assert!(!line.contains('\n'));
        }
    }

    #[test]
    fn stored_parts_have_the_key_that_they_had(parts in proptest::collection::btree_map(".{0,8}", ".{0,12}", 0..6)) {
        let parts = key_parts(&parts);
        let stored = serde_json::to_string(&parts).unwrap();
        prop_assert_eq!(serde_json::from_str::<KeyParts>(&stored).unwrap().key(), parts.key());
    }

    #[test]
    fn the_order_of_steps_does_not_depend_on_the_order_of_their_declaration(
        edges in proptest::collection::vec((0usize..10, 0usize..10), 0..20),
        shuffled in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let nodes = acyclic(&edges);
        let other = shuffled.into_iter().map(|i| nodes[i].clone()).collect();
        prop_assert_eq!(Graph::new(nodes).unwrap(), Graph::new(other).unwrap());
    }

    #[test]
    fn a_closure_has_the_steps_that_a_step_waits_for_and_no_other(
        edges in proptest::collection::vec((0usize..10, 0usize..10), 0..20),
        wanted in 0usize..10,
    ) {
        let nodes = acyclic(&edges);
        let closure = Graph::new(nodes.clone()).unwrap().closure(&[format!("s{wanted:02}")]);
        for node in nodes {
            let is_wanted = node.name == format!("s{wanted:02}");
            let is_needed = acyclic(&edges).iter().any(|other| closure.contains(&other.name) && other.after.contains(&node.name));
            prop_assert_eq!(closure.contains(&node.name), is_wanted || is_needed);
        }
    }

    #[test]
    fn each_step_of_a_named_cycle_waits_for_the_one_before(
        edges in proptest::collection::vec((0usize..6, 0usize..6), 1..15),
    ) {
        let name = |i: usize| format!("s{i}");
        let after = |i: usize| edges.iter().filter(move |(_, to)| *to == i).map(move |(from, _)| name(*from));
        let nodes: Vec<Node> = (0..6).map(|i| Node { name: name(i), after: after(i).collect() }).collect();
        if let Err(cycle) = Graph::new(nodes.clone()) {
            prop_assert!(cycle.0.len() > 1);
            prop_assert_eq!(cycle.0.first(), cycle.0.last());
            for pair in cycle.0.windows(2) {
                let follower = nodes.iter().find(|node| node.name == pair[1]).unwrap();
                prop_assert!(follower.after.contains(&pair[0]), "{:?}", cycle);
            }
        }
    }
}
