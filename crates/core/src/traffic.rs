//! Routing: chooses the version that answers a request.

#[cfg(test)]
mod tests;

/// Chooses the version that answers a request by `key`: the key of its first row, else the request's id. Returns the
/// index of its share in `shares`; `None` for the rest of the keys, which the champion answers.
///
/// Each share is the share of all keys that its version receives. While `salt` and the shares stay the same, the same
/// key gives the same result; when the first share grows, its keys stay with it. `salt` (the canary's promotion) gives
/// every canary a new sample of the keys. A share below 0 or NaN counts as 0; shares beyond a sum of 1 receive nothing.
pub fn choose(key: &str, salt: &str, shares: impl IntoIterator<Item = f64>) -> Option<usize> {
    let position = position(key, salt);
    let mut end = 0.0;
    shares.into_iter().position(|share| {
        end += share.max(0.0);
        position < end
    })
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
