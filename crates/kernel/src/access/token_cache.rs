//! A cache of authenticated secrets.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use perennial_core::Result;
use perennial_core::permission::Principal;
use sha2::{Digest, Sha256};

use crate::Kernel;

/// How long an entry is valid. A token or grant that this process revokes ends at once, one that another server over
/// the same database revokes within this time.
pub const TRUST: Duration = Duration::from_secs(5);

/// The most entries; the cache is cleared when it is full.
const SECRETS_MAX: usize = 10_000;

/// Caches the principal of a secret for a few seconds, so that consecutive requests do not query the store. Holds a
/// hash of each secret, never the secret.
#[derive(Default)]
pub struct TokenCache {
    found: RwLock<HashMap<[u8; 32], Remembered>>,
}

struct Remembered {
    principal: Arc<Principal>,
    until: Instant,
    changes: u64,
}

impl TokenCache {
    /// The principal of a Bearer or Basic secret.
    pub async fn authenticate(&self, kernel: &Arc<Kernel>, secret: &str) -> Result<Arc<Principal>> {
        let key: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let changes = super::changes();
        if let Some(principal) = self.find(&key, changes) {
            return Ok(principal);
        }
        let principal = Arc::new(super::authenticate(kernel, secret).await?);
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= SECRETS_MAX {
            found.clear();
        }
        let remembered = Remembered { principal: principal.clone(), until: Instant::now() + TRUST, changes };
        found.insert(key, remembered);
        Ok(principal)
    }

    fn find(&self, key: &[u8; 32], changes: u64) -> Option<Arc<Principal>> {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        let remembered = found.get(key)?;
        let is_trusted = remembered.changes == changes && Instant::now() < remembered.until;
        is_trusted.then(|| remembered.principal.clone())
    }
}
