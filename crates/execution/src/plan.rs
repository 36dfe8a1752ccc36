//! Pipelines as pure planning: which step waits for which, what a step's cache
//! key is made of, what changed between two keys, and what may start next.

mod graph;
mod key;
mod schedule;

#[cfg(test)]
mod tests;

pub use graph::{Cycle, Graph, Node};
pub use key::{Difference, KeyParts, differences};
pub use schedule::{Outcome, Schedule};
