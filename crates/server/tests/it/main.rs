//! The implementations that the server wires together, in the combinations that it wires.

#![cfg(test)]

mod file_source;
mod logged_values;
