//! Every page over a real store, as a browser asks for it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what does not hold in a test ends it")]

mod access;
mod html;
mod pages;
mod sample;
mod unlinked;
mod world;
