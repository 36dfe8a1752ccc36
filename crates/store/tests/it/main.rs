//! The store from outside: one suite, both databases.

mod db;
mod fixtures;
mod group_commit;
mod ledger;
mod projects;
mod queries;
