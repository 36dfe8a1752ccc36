//! The perimeter around routes of its own, over a real application.

#![cfg(test)]

mod admission;
mod bodies;
mod connections;
mod exhaustion;
mod handlers;
mod host;
mod log;
mod support;
