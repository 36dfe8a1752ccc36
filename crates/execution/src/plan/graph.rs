//! The graph of steps.

use std::collections::{BTreeMap, BTreeSet};

/// A step with the names it reads from and the names it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The step.
    pub name: String,
    /// Steps whose outputs it reads.
    pub after: BTreeSet<String>,
}

/// Steps in an order in which each follows all it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// Steps that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("steps wait for each other: {}", .0.join(" → "))]
pub struct Cycle(pub Vec<String>);

impl Graph {
    /// Orders the steps: those with fewer dependencies first, by name among equals. Names in `after` that are not a
    /// step are taken as always present.
    pub fn new(nodes: Vec<Node>) -> Result<Self, Cycle> {
        let names: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
        let mut waiting: BTreeMap<String, Node> = BTreeMap::new();
        for mut node in nodes {
            node.after.retain(|name| names.contains(name));
            waiting.insert(node.name.clone(), node);
        }
        let mut followers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        let mut ready = BTreeSet::new();
        for node in waiting.values() {
            for before in &node.after {
                followers.entry(before.clone()).or_default().push(node.name.clone());
            }
            open.insert(node.name.clone(), node.after.len());
            if node.after.is_empty() {
                ready.insert(node.name.clone());
            }
        }
        let mut ordered = Vec::with_capacity(waiting.len());
        while let Some(name) = ready.pop_first() {
            for follower in followers.get(&name).into_iter().flatten() {
                if let Some(count) = open.get_mut(follower) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(follower.clone());
                    }
                }
            }
            ordered.extend(waiting.remove(&name));
        }
        if waiting.is_empty() { Ok(Self { nodes: ordered }) } else { Err(Cycle(one_cycle(&waiting))) }
    }

    /// The steps, each after all it waits for.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The steps named, and all they wait for.
    pub fn closure<S: AsRef<str>>(&self, wanted: &[S]) -> BTreeSet<String> {
        let mut needed: BTreeSet<String> = wanted.iter().map(|name| name.as_ref().to_owned()).collect();
        for node in self.nodes.iter().rev() {
            if needed.contains(&node.name) {
                needed.extend(node.after.iter().cloned());
            }
        }
        needed
    }
}

/// Walks backwards among steps that all wait for another of them until one comes up again.
fn one_cycle(waiting: &BTreeMap<String, Node>) -> Vec<String> {
    let mut path: Vec<String> = waiting.keys().take(1).cloned().collect();
    while let Some(before) = path
        .last()
        .and_then(|name| waiting.get(name))
        .and_then(|node| node.after.iter().find(|name| waiting.contains_key(*name)))
    {
        if let Some(start) = path.iter().position(|name| name == before) {
            let mut cycle = path.split_off(start);
            cycle.push(before.clone());
            cycle.reverse();
            return cycle;
        }
        path.push(before.clone());
    }
    path
}
