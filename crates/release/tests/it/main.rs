//! Rules of the slice over fakes: no data engine, no processes.

#![cfg(test)]

mod answering;
mod answers;
mod approvals;
mod canaries;
mod gates;
mod promotions;
mod reading;
mod recording;
mod records;
mod releasing;
mod rollbacks;
mod submitting;
mod support;
mod swapping;
