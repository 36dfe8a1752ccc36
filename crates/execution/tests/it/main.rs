//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod cache;
mod cancelling;
mod commands;
mod datasets;
mod environments;
mod events;
mod evidence;
mod handover;
mod lineage;
mod loads;
mod planning;
mod queries;
mod recovery;
mod requests;
mod split_rows;
mod support;
mod training;
