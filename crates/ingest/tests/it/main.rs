//! The rules of ingest, over a data engine in memory.

#![cfg(test)]

mod alerts;
mod checks;
mod columns;
mod datasets;
mod discovery;
mod file_source;
mod held;
mod keys;
mod predictions;
mod recovery;
mod replacing;
mod settling;
mod source_watch;
mod support;
