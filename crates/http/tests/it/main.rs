//! The perimeter around routes of its own, over a real application.

#![cfg(test)]

mod admission;
mod connections;
mod handlers;
mod log;
mod support;
