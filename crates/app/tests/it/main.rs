//! Use cases over a whole application, with a data engine that keeps no rows.

#![cfg(test)]

mod backup;
mod collecting;
mod monitoring;
mod planning;
mod predictions;
mod releasing;
mod rollbacks;
mod submitting;
mod swapping;
