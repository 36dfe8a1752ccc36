//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod releasing;
mod rollbacks;
mod submitting;
mod swapping;
