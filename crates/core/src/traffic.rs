//! Which version answers a request.

use crate::port::prediction::Part;

#[cfg(test)]
mod tests;

/// Chooses the part that answers a request whose first row has this `key` (else: the request's id).
///
/// The same key always meets the same part while `salt` and `share` stay, and stays with the
/// canary when `share` grows; `salt` (the canary's promotion) makes each canary another sample.
/// `share` of all keys go to the canary; outside 0 to 1, or NaN, it counts as the nearer end or 0.
pub fn route(key: &str, share: f64, salt: &str) -> Part {
    if place(key, salt) < share { Part::Canary } else { Part::Champion }
}

/// A number in [0, 1), uniform over keys: the first 53 bits of BLAKE3 over salt and key.
fn place(key: &str, salt: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(salt.len() as u64).to_le_bytes());
    hasher.update(salt.as_bytes());
    hasher.update(key.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64
}
