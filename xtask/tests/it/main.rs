//! What the program does as a whole.

#![cfg(test)]

mod postgres;
