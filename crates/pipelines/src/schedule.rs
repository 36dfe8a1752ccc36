//! What may start next while a pipeline runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran or was taken from the cache.
    Done,
    /// It failed: what waits for it is skipped.
    Failed,
}

/// Which steps wait, run or are over.
#[derive(Debug, Clone)]
pub struct Schedule {
    waiting: BTreeMap<String, BTreeSet<String>>,
    order: Vec<String>,
    running: BTreeSet<String>,
    skipped: Vec<(String, String)>,
}

impl Schedule {
    /// All steps of the graph wait.
    pub fn new(graph: &Graph, wanted: &BTreeSet<String>) -> Self {
        let nodes = graph.nodes().iter().filter(|node| wanted.contains(&node.name));
        Self {
            waiting: nodes.clone().map(|node| (node.name.clone(), node.after.clone())).collect(),
            order: nodes.map(|node| node.name.clone()).collect(),
            running: BTreeSet::new(),
            skipped: Vec::new(),
        }
    }

    /// Starts the next step that waits for nothing any more, at most `limit` at a time.
    pub fn start(&mut self, limit: usize) -> Option<String> {
        if self.running.len() >= limit {
            return None;
        }
        let ready = |name: &&String| self.waiting.get(*name).is_some_and(BTreeSet::is_empty);
        let name = self.order.iter().find(ready)?.clone();
        self.waiting.remove(&name);
        self.running.insert(name.clone());
        Some(name)
    }

    /// Records a running step's end. A failure skips all that waited for it, directly or not.
    pub fn finish(&mut self, name: &str, outcome: Outcome) {
        if !self.running.remove(name) {
            return;
        }
        match outcome {
            Outcome::Done => {
                for after in self.waiting.values_mut() {
                    after.remove(name);
                }
            }
            Outcome::Failed => self.skip_followers(name),
        }
    }

    fn skip_followers(&mut self, failed: &str) {
        let mut gone = vec![failed.to_owned()];
        while let Some(before) = gone.pop() {
            let followers: Vec<String> = self
                .waiting
                .iter()
                .filter(|(_, after)| after.contains(&before))
                .map(|(name, _)| name.clone())
                .collect();
            for name in followers {
                self.waiting.remove(&name);
                self.skipped.push((name.clone(), failed.to_owned()));
                gone.push(name);
            }
        }
    }

    /// Steps skipped so far, each with the step that failed.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_over(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}
