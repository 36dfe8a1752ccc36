//! A quota: an amount, such as requests in flight or bytes of bodies, of which no holder takes more than its share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perennial_core::id::PrincipalId;

#[cfg(test)]
mod tests;

/// To whom an amount is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// An authenticated principal.
    Principal(PrincipalId),
    /// A peer whose principal is not known.
    Peer(IpAddr),
}

impl Holder {
    /// The holder for an address. The addresses of one IPv6 network of 64 bits belong to one holder.
    pub(crate) fn peer(address: IpAddr) -> Self {
        const NETWORK: u128 = u128::MAX << 64;
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
            address => address,
        })
    }
}

/// Which limit an amount would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// That of all holders together.
    Total,
    /// The share of the holder.
    Share,
}

/// An amount that holders share; clones share it.
#[derive(Clone)]
pub(crate) struct Quota(Arc<Shared>);

struct Shared {
    total_max: u64,
    share_max: u64,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    total: u64,
    /// Of the holders that hold something.
    by_holder: HashMap<Holder, u64>,
}

impl Quota {
    pub(crate) fn new(total_max: u64, share_max: u64) -> Self {
        Self(Arc::new(Shared { total_max, share_max, used: Mutex::default() }))
    }

    /// Takes `amount` until the permit is dropped.
    pub(crate) fn acquire(&self, holder: Holder, amount: u64) -> Result<Permit, Exceeded> {
        self.take(holder, amount)?;
        Ok(Permit { quota: self.clone(), holder, amount })
    }

    /// The limit that is exceeded.
    pub(crate) fn max(&self, exceeded: Exceeded) -> u64 {
        match exceeded {
            Exceeded::Total => self.0.total_max,
            Exceeded::Share => self.0.share_max,
        }
    }

    fn take(&self, holder: Holder, amount: u64) -> Result<(), Exceeded> {
        let mut used = self.used();
        let held = used.by_holder.get(&holder).copied().unwrap_or_default();
        if held + amount > self.0.share_max {
            return Err(Exceeded::Share);
        }
        if used.total + amount > self.0.total_max {
            return Err(Exceeded::Total);
        }
        used.total += amount;
        used.by_holder.insert(holder, held + amount);
        Ok(())
    }

    fn give_back(&self, holder: Holder, amount: u64) {
        let mut used = self.used();
        used.total -= amount;
        if let Some(held) = used.by_holder.get_mut(&holder) {
            *held -= amount;
            if *held == 0 {
                used.by_holder.remove(&holder);
            }
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An amount that a holder took; given back on drop.
pub struct Permit {
    quota: Quota,
    holder: Holder,
    amount: u64,
}

impl Permit {
    /// The amount that it holds.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes `more` in addition.
    pub(crate) fn grow(&mut self, more: u64) -> Result<(), Exceeded> {
        self.quota.take(self.holder, more)?;
        self.amount += more;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.quota.give_back(self.holder, self.amount);
    }
}
