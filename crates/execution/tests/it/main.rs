//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod cache;
mod cancelling;
mod commands;
mod datasets;
mod events;
mod planning;
mod recovery;
mod requests;
mod support;
mod training;
