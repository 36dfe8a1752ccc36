//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod attempts;
mod backup;
mod grants;
mod held;
mod jobs;
