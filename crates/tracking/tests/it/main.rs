//! The rules of tracking, over the embedded store.

#![cfg(test)]

mod access;
mod artifacts;
mod experiments;
mod logging;
mod metrics;
mod run_digest;
mod runs;
mod search;
mod support;
