//! The open connections, whose number is bounded.
//!
//! A connection that only waits costs its peer nothing, so a bound alone would let one peer keep all others out. Instead
//! a further connection takes the place of one that is idle.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::activity::Activity;
use crate::limits::CONNECTIONS_RESERVED;
use crate::quota::Holder;

#[cfg(test)]
mod tests;

/// The open connections.
pub(super) struct Connections {
    max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    /// Those that may stay open.
    seated: HashMap<u64, Seated>,
    /// How many beyond `max` answer probes alone.
    reserved: usize,
}

struct Seated {
    peer: Holder,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl Connections {
    /// At most `max` connections, and [`CONNECTIONS_RESERVED`] for probes.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, open: Mutex::default() })
    }

    /// A seat for a new connection of `peer`. When all are taken, an idle connection loses its seat; when none is idle, the
    /// seat is one of those reserved for probes; when these are taken too, there is none.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let (peer, activity, evicted) = (Holder::peer(peer), Activity::new(), CancellationToken::new());
        let mut open = self.open();
        let is_reserved = open.seated.len() >= self.max && !open.evict();
        if is_reserved {
            if open.reserved == CONNECTIONS_RESERVED {
                return None;
            }
            open.reserved += 1;
        }
        let id = open.next_id;
        open.next_id += 1;
        if !is_reserved {
            open.seated.insert(id, Seated { peer, activity: activity.clone(), evicted: evicted.clone() });
        }
        drop(open);
        Some(Seat { connections: self.clone(), id, is_reserved, activity, evicted })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes the seat of an idle connection; whether there was one. Of the idle ones it is one of the peer that has the most
    /// connections, and of these the one that has been idle for longest.
    fn evict(&mut self) -> bool {
        let mut by_peer: HashMap<Holder, usize> = HashMap::new();
        for seated in self.seated.values() {
            *by_peer.entry(seated.peer).or_default() += 1;
        }
        let idle = self.seated.iter().filter_map(|(id, seated)| Some((id, seated.peer, seated.activity.idle_since()?)));
        let chosen = idle.min_by_key(|(_, peer, since)| (std::cmp::Reverse(by_peer.get(peer).copied()), *since));
        let Some(id) = chosen.map(|(id, ..)| *id) else { return false };
        if let Some(seated) = self.seated.remove(&id) {
            seated.evicted.cancel();
        }
        true
    }
}

/// The place of one connection, until it is dropped.
pub(super) struct Seat {
    connections: Arc<Connections>,
    id: u64,
    is_reserved: bool,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl Seat {
    /// What the connection does.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Whether the connection may only be used for probes.
    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Completes when another connection needs the seat.
    pub(super) fn evicted(&self) -> WaitForCancellationFuture<'_> {
        self.evicted.cancelled()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if self.is_reserved {
            open.reserved -= 1;
        } else {
            open.seated.remove(&self.id);
        }
    }
}
