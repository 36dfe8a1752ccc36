//! The data engine on real files, tables and stores.

#![cfg(test)]

mod checks;
mod columns;
mod commits;
mod conformance;
mod digests;
mod foreign;
mod hostile_queries;
mod keys;
mod paths;

mod quarantine;
mod queries;
mod schemas;
mod sources;
mod staging;
mod stores;
mod support;
mod workers;
