//! The built binary, as people and machines use it.

mod crash;
mod project;
mod story;
mod support;
