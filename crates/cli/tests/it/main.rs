//! The built binary, as people and machines use it.

#![cfg(test)]

mod backup;
mod clients;
mod crash;
mod drifting;
mod ledger;
mod lifecycle;
mod predictions;
mod project;
mod python;
mod stories;
mod story;
mod support;
mod swaps;
mod teams;
mod wrong_input;
