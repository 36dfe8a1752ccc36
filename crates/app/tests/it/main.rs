//! Use cases over a whole application, with a data engine that keeps no rows.

#![cfg(test)]

mod backup;
mod collecting;
mod planning;
mod predictions;
mod swapping;
