//! The project file from outside: what is accepted, what is refused and with which message.

#![cfg(test)]

mod errors;
mod parsed;
mod properties;
mod schema;
mod suite;
#[path = "../../../testkit/src/toml_text.rs"]
#[expect(unreachable_pub, reason = "a public module of testkit, which this crate cannot depend on")]
mod toml_text;
