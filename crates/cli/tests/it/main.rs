//! Tests of the built binary.

#![cfg(test)]

mod attack;
mod backup;
mod canary_input;
mod cancelled;
mod chance;
mod changed;
mod clients;
mod crash;
mod declared;
mod demo;
mod disk;
mod drifting;
mod embedded_server;
mod exits;
mod full_disk;
mod held;
mod ledger;
mod lifecycle;
mod ownership;
mod pages;
mod poison;
mod postgres;
mod predictions;
mod processes;
mod project;
mod python;
mod result_page;
#[path = "../../../testkit/src/s3_server.rs"]
#[expect(unreachable_pub, reason = "a module of testkit, which the tests of the binary do not link")]
mod s3_server;
mod sources;
mod stories;
mod story;
mod support;
mod swaps;
mod teams;
#[path = "../../../testkit/src/toml_text.rs"]
#[expect(dead_code, unreachable_pub, reason = "a module of testkit, which the tests of the binary do not link")]
mod toml_text;
mod tools;
mod upgrade;
mod workers;
mod wrong_input;
