//! The store from outside: one suite, both databases.

#![cfg(test)]

mod bounds;
mod data;
mod db;
mod durability;
mod endpoints;
mod fixtures;
mod grants;
mod group_commit;
mod jobs;
mod jobs_model;
mod ledger;
mod loads_model;
mod metrics;
mod outage;
mod ownership;
mod pipelines;
mod probes;
mod projects;
mod queries;
mod registry;
mod release;
mod run_contents;
mod schema;
mod search;
mod search_model;
mod tracking;
mod watch;
