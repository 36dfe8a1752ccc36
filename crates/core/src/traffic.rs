//! Routing: chooses the version that answers a request.

use crate::port::prediction::TrafficRole;

#[cfg(test)]
mod tests;

/// Routes a request to the champion or the canary by `key`: the key of its first row, else the request's id.
///
/// A share `share` of all keys goes to the canary. While `salt` and `share` stay the same, a key is always
/// routed alike; when `share` grows, keys of the canary stay with it. `salt` (the canary's promotion) gives
/// every canary a new sample of the keys. A `share` outside 0 to 1 counts as the nearer bound, NaN as 0.
pub fn route(key: &str, share: f64, salt: &str) -> TrafficRole {
    if position(key, salt) < share { TrafficRole::Canary } else { TrafficRole::Champion }
}

/// The key's position in [0, 1), uniform over keys: the first 53 bits of BLAKE3 over salt and key.
fn position(key: &str, salt: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(salt.len() as u64).to_le_bytes());
    hasher.update(salt.as_bytes());
    hasher.update(key.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64
}
