//! The rules of submissions and uploads over a data engine in memory: no processes, no HTTP.

#![cfg(test)]

mod creation;
mod declared_files;
mod replaced_uploads;
mod roles;
mod source_grants;
mod stored;
mod submission;
mod support;
mod uploads;
mod validation;
