//! Admission: how many requests of each class are in flight, and to whom they are charged.

use std::net::{IpAddr, Ipv4Addr};

use http::StatusCode;
use http::request::Parts;
use perennial_core::{Error, ErrorCode};

use crate::error::HttpError;
use crate::limits;
use crate::quota::{Exceeded, Holder, Permit, Quota};
use crate::server::PeerAddr;

/// Requests that share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Answered as soon as possible.
    Ordinary,
    /// Waits for an event, for seconds.
    LongPoll,
    /// Asks whether the server is alive, which needs no more than a thread: the connections alone bound it.
    Liveness,
    /// Asks whether the server is ready.
    Probe,
    /// Reads the metrics.
    Scrape,
}

impl RequestClass {
    /// Whether a request is answered when the server is too busy for other requests, or has lost its lease.
    pub(crate) fn is_of_operations(self) -> bool {
        matches!(self, Self::Liveness | Self::Probe | Self::Scrape)
    }
}

/// The quotas of a server.
pub(crate) struct Quotas {
    ordinary: Quota,
    long_polls: Quota,
    probes: Quota,
    scrapes: Quota,
    large_predictions: Quota,
    public: Quota,
    authentications: Quota,
    /// Bytes of bodies.
    pub(crate) body_bytes: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        let quota = |total: usize, share: usize| Quota::new(total as u64, share as u64);
        Self {
            ordinary: quota(limits::REQUESTS_MAX, limits::REQUESTS_SHARE_MAX),
            long_polls: quota(limits::LONG_POLLS_MAX, limits::LONG_POLLS_SHARE_MAX),
            probes: quota(limits::PROBES_MAX, limits::PROBES_SHARE_MAX),
            scrapes: quota(limits::SCRAPES_MAX, limits::SCRAPES_SHARE_MAX),
            large_predictions: quota(limits::LARGE_PREDICTIONS_MAX, limits::LARGE_PREDICTIONS_SHARE_MAX),
            public: quota(limits::PUBLIC_REQUESTS_MAX, limits::PUBLIC_REQUESTS_SHARE_MAX),
            authentications: quota(limits::AUTHENTICATIONS_MAX, limits::AUTHENTICATIONS_SHARE_MAX),
            body_bytes: Quota::new(limits::BODY_BYTES_TOTAL_MAX, limits::BODY_BYTES_SHARE_MAX),
        }
    }
}

impl Quotas {
    /// Admits a request that needs no credentials; `None` for one that no quota bounds.
    pub(crate) fn public(&self, class: RequestClass, peer: Holder) -> Result<Option<Permit>, HttpError> {
        match class {
            RequestClass::Liveness => Ok(None),
            RequestClass::Probe => {
                let maxima = (limits::PROBES_MAX, limits::PROBES_SHARE_MAX);
                take(&self.probes, peer, "probes", maxima).map(Some)
            }
            RequestClass::Ordinary | RequestClass::LongPoll | RequestClass::Scrape => {
                let maxima = (limits::PUBLIC_REQUESTS_MAX, limits::PUBLIC_REQUESTS_SHARE_MAX);
                take(&self.public, peer, "requests without credentials", maxima).map(Some)
            }
        }
    }

    /// Admits the computation of a large prediction.
    pub(crate) fn large_prediction(&self, principal: Holder) -> Result<Permit, HttpError> {
        let maxima = (limits::LARGE_PREDICTIONS_MAX, limits::LARGE_PREDICTIONS_SHARE_MAX);
        take(&self.large_predictions, principal, "large predictions", maxima)
    }

    /// Admits a request to authentication.
    pub(crate) fn authentication(&self, peer: Holder) -> Result<Permit, HttpError> {
        let maxima = (limits::AUTHENTICATIONS_MAX, limits::AUTHENTICATIONS_SHARE_MAX);
        take(&self.authentications, peer, "requests to authenticate", maxima)
    }

    /// Admits a request of an authenticated principal.
    pub(crate) fn authenticated(&self, class: RequestClass, principal: Holder) -> Result<Permit, HttpError> {
        match class {
            RequestClass::LongPoll => {
                let maxima = (limits::LONG_POLLS_MAX, limits::LONG_POLLS_SHARE_MAX);
                take(&self.long_polls, principal, "long polls", maxima)
            }
            RequestClass::Scrape => {
                let maxima = (limits::SCRAPES_MAX, limits::SCRAPES_SHARE_MAX);
                take(&self.scrapes, principal, "requests for metrics", maxima)
            }
            RequestClass::Ordinary | RequestClass::Liveness | RequestClass::Probe => {
                let maxima = (limits::REQUESTS_MAX, limits::REQUESTS_SHARE_MAX);
                take(&self.ordinary, principal, "requests", maxima)
            }
        }
    }
}

fn take(quota: &Quota, holder: Holder, noun: &str, (total, share): (usize, usize)) -> Result<Permit, HttpError> {
    quota.acquire(holder, 1).map_err(|exceeded| match exceeded {
        Exceeded::Total => refused(exceeded, noun, total),
        Exceeded::Share => refused(exceeded, noun, share),
    })
}

fn refused(exceeded: Exceeded, noun: &str, max: usize) -> HttpError {
    let busy = |message| Error::new(ErrorCode::Busy, message).with_hint("try again in a moment");
    match exceeded {
        Exceeded::Total => busy(format!("{max} {noun} are in flight")).into(),
        Exceeded::Share => {
            HttpError::with_status(busy(format!("{max} {noun} of yours are in flight")), StatusCode::TOO_MANY_REQUESTS)
        }
    }
}

/// The peer of a request. Requests that did not come over a connection have one peer.
pub(crate) fn peer(parts: &Parts) -> Holder {
    let address = parts.extensions.get::<PeerAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    Holder::peer(address)
}
