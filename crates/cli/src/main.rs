//! The perennial binary.
fn main() {}
