//! What may start next while a pipeline runs.

use std::collections::{BTreeSet, HashMap};

use super::graph::Graph;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran or was taken from the cache.
    Done,
    /// It failed: what waits for it is skipped.
    Failed,
}

/// Which steps wait, run or are over. A step's start and end cost what follows it, not all that wait.
#[derive(Debug, Clone)]
pub struct Schedule {
    steps: HashMap<String, Step>,
    /// Steps that wait for nothing any more, by their place in the order.
    ready: BTreeSet<(usize, String)>,
    running: BTreeSet<String>,
    skipped: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Step {
    place: usize,
    /// How many steps it waits for.
    open: usize,
    followers: Vec<String>,
    is_waiting: bool,
}

impl Schedule {
    /// The steps of the graph that are `wanted` wait; the others are taken as done.
    pub fn new(graph: &Graph, wanted: &BTreeSet<String>) -> Self {
        let mut steps: HashMap<String, Step> = HashMap::new();
        let mut ready = BTreeSet::new();
        for (place, node) in graph.nodes().iter().enumerate().filter(|(_, node)| wanted.contains(&node.name)) {
            let mut open = 0;
            for before in &node.after {
                // Those it waits for come before it.
                if let Some(before) = steps.get_mut(before) {
                    before.followers.push(node.name.clone());
                    open += 1;
                }
            }
            if open == 0 {
                ready.insert((place, node.name.clone()));
            }
            steps.insert(node.name.clone(), Step { place, open, followers: Vec::new(), is_waiting: true });
        }
        Self { steps, ready, running: BTreeSet::new(), skipped: Vec::new() }
    }

    /// Starts the next step that waits for nothing any more, at most `limit` at a time.
    pub fn start(&mut self, limit: usize) -> Option<String> {
        if self.running.len() >= limit {
            return None;
        }
        let (_, name) = self.ready.pop_first()?;
        self.wait_no_more(&name);
        self.running.insert(name.clone());
        Some(name)
    }

    /// Records a running step's end. A failure skips all that waited for it, directly or not.
    pub fn finish(&mut self, name: &str, outcome: Outcome) {
        if !self.running.remove(name) {
            return;
        }
        match outcome {
            Outcome::Done => self.free_followers(name),
            Outcome::Failed => self.skip_followers(name),
        }
    }

    fn followers(&self, name: &str) -> Vec<String> {
        self.steps.get(name).map(|step| step.followers.clone()).unwrap_or_default()
    }

    /// Whether the step waited until now.
    fn wait_no_more(&mut self, name: &str) -> bool {
        self.steps.get_mut(name).is_some_and(|step| std::mem::take(&mut step.is_waiting))
    }

    fn free_followers(&mut self, done: &str) {
        for name in self.followers(done) {
            let Some(step) = self.steps.get_mut(&name) else { continue };
            step.open -= 1;
            if step.open == 0 && step.is_waiting {
                self.ready.insert((step.place, name));
            }
        }
    }

    fn skip_followers(&mut self, failed: &str) {
        let mut gone = vec![failed.to_owned()];
        while let Some(before) = gone.pop() {
            for name in self.followers(&before) {
                if self.wait_no_more(&name) {
                    self.skipped.push((name.clone(), failed.to_owned()));
                    gone.push(name);
                }
            }
        }
    }

    /// Steps skipped so far, each with the step that failed.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }
}
