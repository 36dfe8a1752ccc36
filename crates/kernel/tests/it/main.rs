//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod backup;
mod grants;
mod jobs;
