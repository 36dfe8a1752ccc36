//! The project file, from outside: what is read, what is refused and with which words.

#![cfg(test)]

mod agreement;
mod mistakes;
mod parsed;
mod published;
mod suite;
