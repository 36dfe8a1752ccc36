//! The built binary, as people and machines use it.

#![cfg(test)]

mod asked_anew;
mod backup;
mod cancelled;
mod changed;
mod clients;
mod crash;
mod declared;
mod demo;
mod drifting;
mod held;
mod hosts;
mod ledger;
mod lifecycle;
mod pages;
mod predictions;
mod project;
mod python;
mod sources;
mod stories;
mod story;
mod support;
mod swaps;
mod teams;
mod tools;
mod wrong_input;
