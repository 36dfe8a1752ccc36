//! The built binary, as people and machines use it.

#![cfg(test)]

mod crash;
mod project;
mod story;
mod support;
