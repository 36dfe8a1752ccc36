//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod answering;
mod releasing;
mod rollbacks;
mod submitting;
mod swapping;
