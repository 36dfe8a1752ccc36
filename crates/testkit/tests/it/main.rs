//! The fakes pass the suites of their ports.

#![cfg(test)]

mod data;
mod model;
mod runner;
mod source;
