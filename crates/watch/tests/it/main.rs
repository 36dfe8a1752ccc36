//! The rules of watch, over a data engine in memory.

#![cfg(test)]

mod freshness;
mod interruption;
mod quality;
mod refresh;
mod results;
mod scheduler;
mod support;
mod triggers;
mod windows;
